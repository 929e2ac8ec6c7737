"use strict";
// Language and theme. The charts are there without any script.
(() => {
  const root = document.documentElement;
  const buttons = document.querySelectorAll("#language button");

  function speak(lang) {
    root.lang = lang;
    buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.value === lang)));
  }

  buttons.forEach((b) => b.addEventListener("click", () => speak(b.value)));
  speak(root.lang);
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
})();
