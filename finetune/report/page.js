// The run page's switches, and its reloading while the run goes on.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const { word, drawAll } = curveCharts(data);

  /** Language and theme are kept in the address, so that a page that reloads itself stays as it was set. */
  function keep() {
    const set = new URLSearchParams({ lang: root.lang, ...(root.dataset.theme ? { theme: root.dataset.theme } : {}) });
    history.replaceState(null, "", `#${set}`);
    relabel();
    drawAll();
  }

  function relabel() {
    const ago = document.getElementById("ago");
    const seconds = Date.now() / 1000 - data.recorded;
    const unit = [["days", 172800, 86400], ["hours", 7200, 3600], ["minutes", 60, 60]].find((one) => seconds >= one[1]);
    if (ago) ago.textContent = unit ? word(`live.${unit[0]}`, { n: Math.floor(seconds / unit[2]) }) : word("live.now");
  }

  const address = new URLSearchParams(location.hash.slice(1));
  if (["ko", "en"].includes(address.get("lang"))) root.lang = address.get("lang");
  if (["light", "dark"].includes(address.get("theme"))) root.dataset.theme = address.get("theme");

  document.dispatchEvent(new Event("switched"));
  document.addEventListener("switched", keep);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  if (data.running) setTimeout(() => location.reload(), 30_000);

  relabel();
  drawAll();
})();
