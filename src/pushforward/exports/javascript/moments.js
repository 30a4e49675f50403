/* Moments in ISO 8601, and the steps of a calendar that are their codes: nanoseconds since 1970, as whole numbers. */
(function (root) {
  "use strict";

  const WRITTEN =
    /^([+-]?\d{4,})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/;
  const DAY = 86400000000000n;
  const LENGTHS = {
    day: DAY,
    hour: 3600000000000n,
    minute: 60000000000n,
    second: 1000000000n,
    millisecond: 1000000n,
    microsecond: 1000n,
    nanosecond: 1n,
  };

  const floorDivided = (a, b) => (a % b < 0n ? a / b - 1n : a / b);
  const rest = (a, b) => a - floorDivided(a, b) * b;

  function dayOf(year, month, day) {
    const date = new Date(0);
    date.setUTCFullYear(year, month, day);
    return BigInt(Math.round(date.getTime() / 86400000));
  }

  /** Nanoseconds since 1970 of a Date, or of text in ISO 8601; `zoned` columns have times with an offset from UTC. */
  function tickOf(value, zoned, what) {
    if (value instanceof Date) {
      if (Number.isNaN(value.getTime())) throw new Error(`${what} has an invalid Date.`);
      return BigInt(value.getTime()) * 1000000n;
    }
    const found = typeof value === "string" ? WRITTEN.exec(value.trim()) : null;
    if (!found) throw new Error(`${what} needs a Date, or text such as 2024-02-29 or 2024-02-29T13:05:00.`);
    const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", offset] = found;
    if (Boolean(offset) !== zoned) {
      throw new Error(`${what} has times with${zoned ? "" : "out"} an offset from UTC; "${value}" is not one.`);
    }
    const days = dayOf(Number(year), Number(month) - 1, Number(day));
    const shown = new Date(Number(days) * 86400000);
    const parts = [shown.getUTCMonth() + 1, shown.getUTCDate()];
    const ofDay = Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60;
    if (parts[0] !== Number(month) || parts[1] !== Number(day) || !ofDay) {
      throw new Error(`${what} has "${value}", which is not a date of the calendar.`);
    }
    const seconds = BigInt(hour) * 3600n + BigInt(minute) * 60n + BigInt(second);
    const ticks = days * DAY + seconds * 1000000000n + BigInt(fraction.padEnd(9, "0"));
    if (!offset || offset === "Z") return ticks;
    const [, sign, hours, minutes] = /^([+-])(\d\d):?(\d\d)$/.exec(offset);
    const ahead = (BigInt(hours) * 3600n + BigInt(minutes) * 60n) * 1000000000n;
    return sign === "+" ? ticks - ahead : ticks + ahead;
  }

  /** Text in ISO 8601 of nanoseconds since 1970. */
  function isoOf(ticks, { date, zoned }) {
    const seconds = floorDivided(ticks, 1000000000n);
    const text = new Date(Number(seconds) * 1000).toISOString().slice(0, -5);
    if (date) return text.slice(0, text.indexOf("T"));
    const nanoseconds = String(rest(ticks, 1000000000n)).padStart(9, "0").replace(/0+$/, "");
    return text + (nanoseconds && `.${nanoseconds}`) + (zoned ? "Z" : "");
  }

  /** The steps of a calendar, as `CalendarGrid` in Python. */
  class Calendar {
    constructor({ unit, every, origin, end }) {
      this.unit = unit;
      this.every = BigInt(every);
      this.origin = BigInt(origin);
      this.end = end ? 1n : 0n;
    }

    /** {code, off}: whole steps from the origin, and whether the moment lies beside the grid. */
    place(ticks) {
      const moved = ticks + this.end * DAY;
      let units;
      let off;
      if (this.unit === "month") {
        const days = floorDivided(moved, DAY);
        const date = new Date(Number(days) * 86400000);
        units = BigInt((date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth());
        off = rest(moved, DAY) !== 0n || date.getUTCDate() !== 1;
      } else {
        units = floorDivided(moved, LENGTHS[this.unit]);
        off = rest(moved, LENGTHS[this.unit]) !== 0n;
      }
      units -= this.end + this.origin;
      return { code: Number(floorDivided(units, this.every)), off: off || rest(units, this.every) !== 0n };
    }

    /** Nanoseconds since 1970 of so many steps. */
    ticks(code) {
      const place = BigInt(code) * this.every + this.origin;
      if (this.unit !== "month") return place * LENGTHS[this.unit];
      const first = place + this.end;
      const year = 1970n + floorDivided(first, 12n);
      return (dayOf(Number(year), Number(rest(first, 12n)), 1) - this.end) * DAY;
    }
  }

  Object.assign(root.pushforward.parts, { tickOf, isoOf, Calendar });
})(globalThis);
