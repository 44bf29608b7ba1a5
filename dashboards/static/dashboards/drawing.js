// How a chart looks: colours from the style sheet, gaps as gaps, a band between lowest and highest.

import { written } from "./readings.js";
import { isLone, withGaps } from "./series.js";

export const COLOURS = 8;
const TIMES = { year: "{yyyy}", month: "{MMM}", day: "{d} {MMM}", hour: "{HH}:{mm}", minute: "{HH}:{mm}", second: "{HH}:{mm}:{ss}" };
const DASHES = ["solid", [7, 4], [2, 3]];

const probe = document.body.appendChild(Object.assign(document.createElement("span"), { className: "unseen" }));

function token(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

export function isSwitch(line) {
  return Boolean(line.place.dataset.words);
}

function isWhole(line) {
  return line.place.dataset.decimals === "0";
}

/** The points of a line as they are drawn, with their gaps. */
export function seriesOf(line) {
  return withGaps(line.points, line.gap);
}

/** The whole chart as ECharts takes it. `window` is [from, to] in milliseconds. */
export function optionOf(lines, [from, to]) {
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const quiet = { color: token("quiet"), fontSize: 0.72 * rem };
  const rule = { lineStyle: { color: token("rule") } };
  return {
    animation: false,
    aria: { enabled: false },
    grid: { left: 3.5 * rem, right: 0.75 * rem, top: 0.5 * rem, bottom: 1.5 * rem, outerBoundsMode: "none" },
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    tooltip: tooltipOf(lines, 0.8 * rem),
    axisPointer: { lineStyle: { color: token("quiet"), type: "solid" }, label: { show: false } },
    xAxis: {
      type: "time",
      min: from,
      max: to,
      axisLine: rule,
      axisTick: { show: false },
      splitLine: { show: false },
      axisLabel: { ...quiet, hideOverlap: true, showMinLabel: false, formatter: TIMES },
    },
    yAxis: {
      type: "value",
      scale: true,
      ...(isSwitch(lines[0]) ? { min: 0, max: 1, interval: 1 } : { splitNumber: 2, minInterval: isWhole(lines[0]) ? 1 : 0 }),
      axisLine: { show: false },
      axisTick: { show: false },
      splitLine: rule,
      axisLabel: { ...quiet, formatter: (value) => written(lines[0].place, value).replace(/\.0+$/, "") },
    },
    series: lines.flatMap((line) => drawn(line)),
  };
}

function drawn(line) {
  const points = seriesOf(line);
  const color = token(`series-${line.id % COLOURS}`);
  const hasBand = points.some(([, low, high]) => low !== high);
  return [lineSeries(line, points, color), ...(hasBand && !isSwitch(line) ? bandSeries(line, points, color) : [])];
}

function lineSeries(line, points, color) {
  return {
    id: `${line.id}`,
    name: line.name,
    type: "line",
    data: points.map(([time, , , mean]) => [time, mean]),
    step: isSwitch(line) && "end",
    symbol: "circle",
    symbolSize: (_, { dataIndex }) => (dataIndex === points.length - 1 ? 5 : isLone(points, dataIndex) ? 4 : 0),
    itemStyle: { color },
    lineStyle: { color, width: 1.75, type: DASHES[line.dash] ?? "dotted" },
    areaStyle: isSwitch(line) ? { color, opacity: 0.15 } : undefined,
    emphasis: { disabled: true },
    z: 3,
  };
}

/** Two stacked lines that nobody sees, with colour between them. */
function bandSeries(line, points, color) {
  const edge = {
    type: "line",
    stack: `band ${line.id}`,
    stackStrategy: "all",
    symbol: "none",
    lineStyle: { opacity: 0 },
    emphasis: { disabled: true },
    tooltip: { show: false },
    silent: true,
    z: 2,
  };
  return [
    { ...edge, id: `${line.id} low`, data: points.map(([time, low]) => [time, low]) },
    {
      ...edge,
      id: `${line.id} high`,
      data: points.map(([time, low, high]) => [time, low === null ? null : high - low]),
      areaStyle: { color, opacity: 0.22 },
    },
  ];
}

function tooltipOf(lines, fontSize) {
  return {
    trigger: "axis",
    confine: true,
    transitionDuration: 0,
    className: "chart-tip",
    backgroundColor: token("surface"),
    borderColor: token("rule"),
    textStyle: { color: token("ink"), fontSize },
    padding: [4, 8],
    formatter: (items) => described(lines, items),
  };
}

/** Nodes rather than HTML: names are text, and no inline style is written. */
function described(lines, items) {
  const box = document.createElement("div");
  const time = items[0]?.value[0];
  box.append(Object.assign(document.createElement("p"), { className: "quiet", textContent: new Date(time).toLocaleString() }));
  for (const { seriesId, dataIndex } of items) {
    const line = lines.find(({ id }) => `${id}` === seriesId);
    const point = line && seriesOf(line)[dataIndex];
    if (!point || point[3] === null) continue;
    const row = document.createElement("p");
    const value = Object.assign(document.createElement("b"), { textContent: `${written(line.place, point[3])} ${line.symbol}` });
    row.append(lines.length > 1 ? `${line.name} ` : "", value, rangeText(line, point));
    box.append(row);
  }
  return box;
}

function rangeText(line, [, low, high]) {
  return low === high || isSwitch(line) ? "" : ` ${written(line.place, low)} to ${written(line.place, high)}`;
}
