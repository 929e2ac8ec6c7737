"use strict";
// The figures of a token beside it. Every text goes in through textContent.
(() => {
  const { parts, words } = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const row = document.getElementById("row");
  const tip = document.getElementById("tip");
  const tokens = [...row.querySelectorAll(".token")];
  let open = null;

  const word = (key) => words[key][root.lang === "en" ? 1 : 0];

  function el(tag, cls, ...children) {
    const node = document.createElement(tag);
    if (cls) node.className = cls;
    node.append(...children);
    return node;
  }

  const share = (p) => (p < 0.0001 ? "< 0.01%" : `${(100 * p).toFixed(2)}%`);

  function choice(guess) {
    if (guess.rank === 1) return word("worst.this");
    return `${guess.choice || word("worst.partial")}  ${share(guess.choice_p)}`;
  }

  function figures(part) {
    const heads = ["worst.p", "worst.loss", "worst.rank", "worst.choice"];
    const rows = part.guesses.map((guess) =>
      el("tr", "",
        el("td", "num", share(guess.p)), el("td", "num", guess.loss.toFixed(3)),
        el("td", "num", String(guess.rank)), el("td", "mono", choice(guess))));
    return el("table", "", el("tr", "", ...heads.map((key, i) => el("th", i < 3 ? "num" : "", word(key)))), ...rows);
  }

  function show(token) {
    if (open) open.classList.remove("open");
    open = token;
    tip.hidden = !token;
    if (!token) return;
    token.classList.add("open");
    const part = parts[token.dataset.i];
    const title = el("h3", "", part.text.replaceAll("\n", "⏎"), " ", el("span", "faint", word(`role.${part.role}`)));
    tip.replaceChildren(title, figures(part));
    if (getComputedStyle(tip).position === "fixed") return;
    const at = token.getClientRects()[0];
    const left = Math.min(at.left, root.clientWidth - tip.offsetWidth - 12);
    const above = at.top > tip.offsetHeight + 16;
    tip.style.left = `${Math.max(12, left) + scrollX}px`;
    tip.style.top = `${scrollY + (above ? at.top - tip.offsetHeight - 6 : at.bottom + 6)}px`;
  }

  function reach(token) {
    tokens.forEach((other) => { other.tabIndex = other === token ? 0 : -1; });
  }

  if (tokens.length) reach(tokens[0]);
  row.addEventListener("pointerover", (event) => event.pointerType === "mouse" && show(event.target.closest(".token")));
  row.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(null));
  row.addEventListener("focusin", (event) => show(event.target.closest(".token")));
  row.addEventListener("focusout", () => show(null));
  row.addEventListener("click", (event) => {
    const token = event.target.closest(".token");
    if (token) { reach(token); token.focus(); show(token); }
  });
  row.addEventListener("keydown", (event) => {
    const at = tokens.indexOf(event.target);
    const next = { ArrowRight: tokens[at + 1], ArrowLeft: tokens[at - 1], Home: tokens[0], End: tokens.at(-1) }[event.key];
    if (event.key === "Escape") show(null);
    if (at < 0 || !next) return;
    event.preventDefault();
    reach(next);
    next.focus();
  });

  document.addEventListener("switched", () => show(null));
})();
