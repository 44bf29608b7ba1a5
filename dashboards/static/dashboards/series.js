// Arithmetic of what a chart draws. Points are [time in ms, low, high, mean]; a null mean is a gap in the line.

const GAP_IN_STEPS = 3; // as many steps without a reading break the line

/** The columns of the API as points. */
export function pointsOf({ times, min, max, avg }) {
  return times.map((time, i) => [time, min[i], max[i], avg[i]]);
}

/** From how many milliseconds on two neighbours are not joined: by how often it sends, and by what is drawn. */
export function gapLength(points, intervalSeconds, resolutionSeconds) {
  const steps = points.slice(1).map((point, i) => point[0] - points[i][0]).sort((a, b) => a - b);
  const usual = steps[Math.floor(steps.length / 2)] ?? 0;
  return GAP_IN_STEPS * Math.max(intervalSeconds * 1000, resolutionSeconds * 1000, usual);
}

/** The points with a break wherever readings are missing. */
export function withGaps(points, longest) {
  return points.flatMap((point, i) => {
    const before = points[i - 1];
    return before && point[0] - before[0] > longest ? [[before[0] + 1, null, null, null], point] : [point];
  });
}

/** One more reading, in its place by time; what has left the window goes. Answers a new list. */
export function appended(points, time, value, oldest) {
  const kept = points.filter((point) => point[0] >= oldest && point[0] !== time);
  const place = kept.findLastIndex((point) => point[0] < time) + 1;
  return kept.toSpliced(place, 0, [time, value, value, value]);
}

/** Lowest and highest value; null without any. */
export function extent(points) {
  if (!points.length) return null;
  return [points.reduce((low, p) => Math.min(low, p[1]), Infinity), points.reduce((high, p) => Math.max(high, p[2]), -Infinity)];
}

/** Whether a point has a neighbour that the line joins it to; a lone one needs a dot to be seen. */
export function isLone(points, i) {
  return points[i][3] !== null && (points[i - 1]?.[3] ?? null) === null && (points[i + 1]?.[3] ?? null) === null;
}
