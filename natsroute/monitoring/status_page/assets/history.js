// The last minutes of each number. Rates are made from counters of two overviews.

/** Seconds that are kept and drawn. */
export const WINDOW = 300;
/** Seconds over which the rate beside a chart is taken, so that it does not flicker. */
export const RATE_WINDOW = 5;
/** Seconds of one point of a chart. */
export const BUCKET = 4;
/** Seconds between two overviews beyond which nothing is said about the time in between. */
const MAX_STEP = 5;

/**
 * Counters and gauges by name, for the last WINDOW seconds.
 *
 * A counter that goes back, and any counter at a restart, begins again: the step has no rate.
 */
export class History {
  #series = new Map();
  #time = null;
  #begin = null;
  #instance = "";

  /**
   * @param {number} time Unix time in seconds.
   * @param {string} instance changes when the service was restarted.
   * @param {Map<string, number>} counters
   * @param {Map<string, number>} gauges
   */
  add(time, instance, counters, gauges) {
    if (this.#time !== null && time <= this.#time) {
      if (time > this.#time - MAX_STEP) return; // the same overview again
      this.#series.clear(); // the clock was set back
      this.#time = this.#begin = null;
    }
    const step = this.#time === null ? null : time - this.#time;
    const continues = step !== null && step <= MAX_STEP && instance === this.#instance;
    const oldest = time - WINDOW;
    for (const [name, value] of counters) {
      const points = this.#points(name, oldest);
      const before = points.at(-1)?.counter;
      const change = continues && before !== undefined && value >= before ? value - before : null;
      points.push({ time, counter: value, change, step: change === null ? 0 : step });
    }
    for (const [name, value] of gauges) this.#points(name, oldest).push({ time, value });
    for (const name of this.#series.keys()) {
      if (!counters.has(name) && !gauges.has(name)) this.#series.delete(name);
    }
    this.#begin ??= time;
    this.#time = time;
    this.#instance = instance;
  }

  /** Seconds that are covered. */
  get span() {
    return this.#time === null ? 0 : Math.min(WINDOW, this.#time - this.#begin);
  }

  #points(name, oldest) {
    let points = this.#series.get(name);
    if (points === undefined) this.#series.set(name, (points = []));
    while (points.length && points[0].time <= oldest) points.shift();
    return points;
  }

  /** The rate of a counter over the last RATE_WINDOW seconds, or null if it is not known. */
  rate(name) {
    let change = 0;
    let seconds = 0;
    for (const point of this.#since(name, RATE_WINDOW)) {
      change += point.change ?? 0;
      seconds += point.step;
    }
    return seconds === 0 ? null : change / seconds;
  }

  /** How much a counter has grown within WINDOW, as far as it is known. */
  growth(name) {
    let sum = 0;
    for (const point of this.#since(name, WINDOW)) sum += point.change ?? 0;
    return sum;
  }

  *#since(name, seconds) {
    const points = this.#series.get(name) ?? [];
    for (let index = points.length - 1; index >= 0 && points[index].time > this.#time - seconds; index -= 1) {
      yield points[index];
    }
  }

  /**
   * The points of a chart, from the oldest to the newest: for each BUCKET the mean rate of a counter, or the highest
   * value of a gauge, or null if nothing is known.
   *
   * The buckets are those of Unix time, so a point does not change its value once its time is over.
   */
  chart(name) {
    const length = WINDOW / BUCKET;
    const buckets = Array.from({ length }, () => ({ change: 0, seconds: 0, value: null }));
    const newest = Math.floor(this.#time / BUCKET);
    for (const point of this.#series.get(name) ?? []) {
      const bucket = buckets[Math.floor(point.time / BUCKET) - newest + length - 1];
      if (bucket === undefined) continue;
      if (point.value !== undefined) bucket.value = Math.max(bucket.value ?? 0, point.value);
      else if (point.change !== null) {
        bucket.change += point.change;
        bucket.seconds += point.step;
        bucket.value = bucket.change / bucket.seconds;
      }
    }
    return buckets.map((bucket) => bucket.value);
  }
}
