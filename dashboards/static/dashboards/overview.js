// The overview: newest values, who came and went, open alerts.

import { listen } from "./live.js";
import { refresh } from "./parts.js";
import { showReadings } from "./readings.js";

listen("/ws/live-data", "readings", (frame) => showReadings(frame));
listen("/ws/device-status", "device_status", refresh);
listen("/ws/alerts", "alert", refresh);
