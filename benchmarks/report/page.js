// The benchmark page's curves, drawn again in another language or theme.
(() => {
  const { drawAll } = curveCharts(JSON.parse(document.getElementById("data").textContent));
  document.addEventListener("switched", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll();
})();
