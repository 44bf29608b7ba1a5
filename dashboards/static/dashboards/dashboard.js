// A dashboard: its tiles, live.

import { appendReading, makeCharts } from "./chart.js";
import { placeTiles } from "./grid.js";
import { listen } from "./live.js";
import { showReadings } from "./readings.js";

placeTiles();
makeCharts();
listen("/ws/live-data", "readings", (frame) => showReadings(frame, (_, sensorId, time, value) => appendReading(sensorId, time, value)));
