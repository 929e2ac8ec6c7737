"use strict";
// Language and theme of a page. The document hears "switched" after each change, a page's own included.
(() => {
  const root = document.documentElement;
  const languages = document.querySelectorAll("#language button");
  const press = () => languages.forEach((b) => b.setAttribute("aria-pressed", String(b.value === root.lang)));
  const tell = () => document.dispatchEvent(new Event("switched"));

  document.addEventListener("switched", press);
  languages.forEach((b) => b.addEventListener("click", () => { root.lang = b.value; tell(); }));
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    tell();
  });
  press();
})();
