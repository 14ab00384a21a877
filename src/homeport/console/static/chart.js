// Live charts: the last ten minutes, as long as the page is open.
import { element } from "./dom.js";

const MOST = 300;

export function chart(title, lines) {
  const data = [[], ...lines.map(() => [])];
  const caption = element("figcaption", {}, title);
  const place = element("div", {});
  const figure = element("figure", { role: "img", "aria-label": title }, caption, place);
  let plot = null;

  function draw() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") } };
    plot?.destroy();
    plot = new uPlot({
      width: Math.max(place.clientWidth, 200), height: 150, cursor: { show: false }, legend: { show: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(high, 1) * 1.1] } },
      axes: [{ ...axis, space: 80, values: (_, moments) => moments.map((one) => new Date(one * 1000).toLocaleTimeString("en-GB")) }, { ...axis, size: 46 }],
      series: [{}, ...lines.map((line, index) => ({ label: line, stroke: colour(`--chart-${index + 1}`), width: 1.5, spanGaps: false }))],
    }, data, place);
  }

  const watcher = new ResizeObserver(() => { if (plot && place.clientWidth) plot.setSize({ width: place.clientWidth, height: 150 }); });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  watcher.observe(place);
  dark.addEventListener("change", draw);

  return {
    figure,
    add(seconds, values) {
      data[0].push(seconds);
      values.forEach((value, index) => data[index + 1].push(value ?? null));
      if (data[0].length > MOST) data.forEach((column) => column.shift());
      const told = values.map((value, index) => `${lines[index]} ${value === null || value === undefined ? "not known" : value.toLocaleString("en", { maximumFractionDigits: 1 })}`);
      caption.textContent = `${title}: ${told.join(", ")}`;
      if (place.isConnected) plot ? plot.setData(data) : draw();
    },
    close() { watcher.disconnect(); dark.removeEventListener("change", draw); plot?.destroy(); },
  };
}
