// A chart of one or several sensors: history by HTTP, then live readings at its end.

import { read } from "./api.js";
import { now } from "./clock.js";
import { COLOURS, isSwitch, optionOf, seriesOf } from "./drawing.js";
import { written } from "./readings.js";
import { appended, extent, gapLength, pointsOf } from "./series.js";

const DRAW_MS = 1000; // live readings are drawn once a second at most
const MOST_POINTS = 800;

const charts = new Map(); // by figure
const library = import("../vendor/echarts.esm.min.js");

/** Make the charts under `root`; each reads its history when it first comes into view. */
export function makeCharts(root = document) {
  for (const figure of root.querySelectorAll("[data-chart]")) charts.set(figure, new Chart(figure));
}

export function allCharts() {
  return [...charts.values()];
}

/** A live reading for every chart that shows its sensor. */
export function appendReading(sensorId, time, value) {
  for (const chart of charts.values()) chart.append(sensorId, Date.parse(time), value);
}

class Chart {
  constructor(figure) {
    this.figure = figure;
    this.note = figure.querySelector("[data-note]");
    this.range = Number(figure.dataset.seconds) * 1000;
    this.interval = Number(figure.dataset.interval);
    const ids = figure.dataset.chart.split(",").map(Number);
    this.lines = ids.map((id, place) => lineOf(id, dashOf(ids, place)));
    this.asked = 0;
    figure.addEventListener("keydown", (event) => this.walk(event));
    sight.observe(figure);
    size.observe(figure);
  }

  /** It came into view, or left it. */
  seen(isInView) {
    this.isInView = isInView;
    if (isInView && !this.asked) this.load();
    else if (isInView) this.draw();
  }

  setRange(seconds) {
    this.range = seconds * 1000;
    if (this.asked) this.load();
  }

  async load() {
    const asked = ++this.asked; // a later question makes the answer to this one worthless
    if (!this.echarts) this.figure.dataset.state = "loading"; // later on, the old picture stands until the new one is there
    const ids = this.lines.map((line) => `sensor_id=${line.id}`).join("&");
    const points = Math.min(MOST_POINTS, Math.max(100, this.figure.clientWidth));
    const start = new Date(now() - this.range).toISOString();
    try {
      const answer = await read(`/api/v1/sensors/history?${ids}&start=${start}&points=${points}`);
      if (asked === this.asked) this.take(answer);
      this.echarts ??= drawnBy(await library, this.figure);
      this.draw();
    } catch (problem) {
      if (asked === this.asked) this.fail(problem);
    }
  }

  take(answer) {
    for (const line of this.lines) {
      const columns = answer.series.find((series) => series.sensor_id === line.id);
      const loaded = columns ? pointsOf(columns) : [];
      const newest = loaded.at(-1)?.[0] ?? 0;
      const arrived = line.points.filter(([time]) => time > newest && time > this.liveSince); // while we were asking
      line.points = [...loaded, ...arrived];
      line.gap = gapLength(loaded, this.interval, answer.resolution_seconds);
    }
    this.figure.dataset.state = "ready";
  }

  fail(problem) {
    this.figure.dataset.state = "failed";
    const retry = Object.assign(document.createElement("button"), { type: "button", className: "button small", textContent: "Try again" });
    retry.addEventListener("click", () => this.load());
    this.note.replaceChildren(`The history could not be read. ${problem.message} `, retry);
  }

  append(sensorId, time, value) {
    const line = this.lines.find(({ id }) => id === sensorId);
    if (!line) return;
    line.points = appended(line.points, time, value, now() - this.range);
    this.liveSince ??= time - 1;
    this.timer ??= setTimeout(() => this.draw(), DRAW_MS);
  }

  draw() {
    clearTimeout(this.timer);
    this.timer = null;
    if (!this.echarts || !this.isInView || this.figure.dataset.state !== "ready") return;
    const end = now();
    for (const line of this.lines) line.points = line.points.filter(([time]) => time >= end - this.range);
    this.echarts.resize();
    this.echarts.setOption(optionOf(this.lines, [end - this.range, end]), { replaceMerge: ["series"] });
    this.summarise();
  }

  summarise() {
    const [line] = this.lines;
    const range = extent(this.lines.flatMap(({ points }) => points));
    if (!range) this.note.textContent = "No reading in this time.";
    else if (isSwitch(line)) this.note.textContent = "";
    else this.note.textContent = `${written(line.place, range[0])} to ${written(line.place, range[1])} ${line.symbol}`;
    this.figure.toggleAttribute("data-blank", !range);
  }

  /** Arrow keys read one point after the other. */
  walk(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !this.echarts) return;
    event.preventDefault();
    const last = seriesOf(this.lines[0]).length - 1;
    this.cursor = Math.min(last, Math.max(0, (this.cursor ?? last + 1) + step));
    this.echarts.dispatchAction({ type: "showTip", seriesIndex: 0, dataIndex: this.cursor });
  }

  dispose() {
    sight.unobserve(this.figure);
    size.unobserve(this.figure);
    this.echarts?.dispose();
    charts.delete(this.figure);
  }
}

/** Charts of one group show the same moment together. */
function drawnBy(echarts, figure) {
  const chart = echarts.init(figure.querySelector(".chart-canvas"), null, { locale: "EN" });
  if (figure.dataset.group) {
    chart.group = figure.dataset.group;
    echarts.connect(chart.group);
  }
  return chart;
}

/** What a chart must know of a sensor stands where the page shows its value. */
function lineOf(id, dash) {
  const place = document.querySelector(`[data-sensor="${id}"]`);
  return {
    id,
    place,
    name: place.closest("li").querySelector(".who, .what").textContent.trim(),
    symbol: place.querySelector(".symbol")?.textContent ?? "",
    points: [],
    gap: 0,
    dash,
  };
}

/** How many lines before this one have its colour: each of them is dashed in its own way. */
function dashOf(ids, place) {
  return ids.slice(0, place).filter((id) => id % COLOURS === ids[place] % COLOURS).length;
}

const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) charts.get(target)?.seen(isIntersecting);
}, { rootMargin: "400px" });
const size = new ResizeObserver((entries) => entries.forEach(({ target }) => charts.get(target)?.draw()));

document.addEventListener("themechange", () => allCharts().forEach((chart) => chart.draw()));
document.addEventListener("reread", () => allCharts().forEach((chart) => chart.asked && chart.load()));
setInterval(() => allCharts().forEach((chart) => chart.draw()), 10_000); // the window moves on without readings too
