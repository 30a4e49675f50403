/* A model of a table: rows as objects, {column: value}.
 *
 * Numbers are numbers, text is text, booleans are booleans, a moment is a Date or text in ISO 8601, and a missing value
 * null or nothing; draws have text in ISO 8601.
 */
(function (root) {
  "use strict";

  const { numbers, shown, checkCount, logSumExp, tickOf, isoOf, Calendar, columnMap, nearest, remainder } = root.pushforward.parts;

  // The code of a value that the model has never seen.
  const UNSEEN = Infinity;
  const whole = (x, step, offset) => (x - offset) % step === 0;
  // A multiple of a step has the rounding of a product: 3 * 0.1 is not 0.3, but with fifteen digits it is.
  const clean = (x) => Number(x.toPrecision(15));

  /** The number that a value is. */
  function numberOf(value, what) {
    const x = typeof value === "bigint" ? Number(value) : value;
    if (typeof x !== "number") throw new Error(`${what} needs a number, and got ${shown(value)}.`);
    if (!Number.isFinite(x)) throw new Error(`${what} needs a finite number, and got ${shown(value)}.`);
    return x;
  }

  /** A row, or what is given: an object that may have any column. */
  function rowOf(row) {
    if (typeof row === "object" && row !== null && !Array.isArray(row)) return row;
    throw new Error(`A row is an object, {column: value}, and not ${shown(row)}.`);
  }

  /** A value of a row, which is not what every object has, such as __proto__ and toString. */
  const valueOf = (row, name) => (name in Object.prototype && !Object.hasOwn(row, name) ? null : row[name]);

  /* ---- what the values of a column are: encode(value) gives a code, decode(code) a value ---- */

  function levels({ levels: known, moments, zoned }, what) {
    const truths = known.every((level) => /^(true|false)$/i.test(String(level).trim()));
    const key = (value) => {
      if (moments) return String(tickOf(value, zoned, what));
      if (truths) return typeof value === "number" ? String(value === 1) : String(value).trim().toLowerCase();
      return typeof value === "string" ? value.trim().normalize("NFC") : value;
    };
    // The levels of moments are in UTC where there are zones.
    const places = new Map(known.map((level, k) => [moments ? String(tickOf(level, false, what)) : key(level), k]));
    return {
      encode: (value) => (places.has(key(value)) ? places.get(key(value)) : UNSEEN),
      decode: (code) => (moments && zoned ? isoOf(tickOf(known[code], false, what), { zoned }) : known[code]),
    };
  }

  function moments({ calendar, atoms, range, strict, zoned, date }, what) {
    const grid = new Calendar(calendar);
    const [low, high] = range.map((end, k) => (end === null ? (k ? Infinity : -Infinity) : end));
    const ticks = atoms.map((atom) => tickOf(atom, false, what));
    const codes = ticks.map((tick) => grid.place(tick).code);
    return {
      encode(value) {
        const tick = tickOf(value, zoned, what);
        const atom = ticks.indexOf(tick);
        if (atom >= 0) return codes[atom];
        const { code, off } = grid.place(tick);
        return (off && strict) || code < low || code > high ? UNSEEN : code;
      },
      decode(code) {
        const atom = codes.indexOf(code);
        return isoOf(atom < 0 ? grid.ticks(code) : ticks[atom], { zoned, date });
      },
    };
  }

  function plain({ low, high, open, step, offset, snapped, atoms, written, recorded }, what) {
    return {
      encode(value) {
        const x = numberOf(value, what);
        if (atoms.includes(x)) return x;
        const outside = (low !== null && (open ? x <= low : x < low)) || (high !== null && x > high);
        if (outside || (step !== null && !whole(x, step, offset))) return UNSEEN;
        if (!snapped) return x;
        const steps = [low, high].map((end) => end !== null && (end - snapped.offset) / snapped.step);
        let place = nearest((x - snapped.offset) / snapped.step);
        if (steps[0] !== false) place = Math.max(place, Math.ceil(steps[0]));
        if (steps[1] !== false) place = Math.min(place, Math.floor(steps[1]));
        return snapped.offset + place * snapped.step;
      },
      decode(code) {
        if (atoms.includes(code)) return code;
        if (!written) return recorded ? clean(code) : code;
        const decade = written.figures ? Math.floor(Math.log10(Math.abs(code) / written.step) + 1e-9) : 0;
        const most = Math.max(decade - (written.figures || 0) + 1, 0);
        const length = written.step * (written.figures && Number.isFinite(most) ? 10 ** most : 1);
        const near = clean(nearest(code / length) * length);
        return (low === null || near > low) && (high === null || near < high) ? near : code;
      },
    };
  }

  function angles({ low, period, step, strict, atoms }, what) {
    return {
      encode(value) {
        const turned = low + remainder(numberOf(value, what) - low, period);
        const code = turned >= low + period ? low : turned;
        if (!step || atoms.includes(code)) return code;
        const near = low + nearest((code - low) / step) * step;
        if (strict && Math.abs(code - near) > 1e-6 * step) return UNSEEN;
        return near >= low + period * (1 - 1e-9) ? low : near;
      },
      decode: (code) => (step ? clean(code) : code),
    };
  }

  const VALUES = { levels, moments, plain, angles };

  /* ---- what a flow is shown of a given column ---- */

  const SHOWN = {
    plain: () => (code) => [code],
    circle: ({ low, period }) => (code) => {
      const angle = ((code - low) * 2 * Math.PI) / period;
      return [Math.cos(angle), Math.sin(angle)];
    },
    atoms: ({ atoms }) => (code) => [code, atoms.includes(code) ? 1 : 0],
    flags: ({ count }) => (code) => Array.from({ length: count }, (_, level) => (level === code ? 1 : 0)),
    signs: ({ signs }) => (code) => signs[Math.min(Math.max(code, 0), signs.length - 1)],
  };

  /** p(columns | given) of rows as objects. */
  class Table {
    constructor(spec) {
      const { read } = root.pushforward;
      this.density = read(spec.density);
      this.columns = spec.columns.map((column) => {
        const what = `The column "${column.name}"`;
        const values = column.values && VALUES[column.values.kind](column.values, what);
        return { name: column.name, what, values, map: column.map && columnMap(column.map) };
      });
      this.given = spec.given.map((column) => {
        const what = `The column "${column.name}"`;
        const values = VALUES[column.values.kind](column.values, what);
        return { name: column.name, what, values, gap: column.gap, shown: SHOWN[column.shown.kind](column.shown) };
      });
      // Given columns that do not vary are not among these.
      this.conditional = this.given.length > 0 || Boolean(spec.conditional);
      this.modeled = this.columns.filter((column) => column.map);
      const size = this.modeled.length;
      const points = numbers(spec.points);
      this.points = Array.from({ length: points.length / size }, (_, k) => points.slice(k * size, (k + 1) * size));
    }

    /** The code of a value, NaN where there is none. */
    code(column, row) {
      const value = valueOf(row, column.name);
      if (value === null || value === undefined || Number.isNaN(value)) return NaN;
      return column.values ? column.values.encode(value) : UNSEEN;
    }

    /** What the density is shown of the given columns of a row, null where there are none; and which was never seen. */
    context(row) {
      if (!this.given.length) return { context: null, unseen: null };
      let unseen = null;
      const context = this.given.flatMap((column) => {
        const code = this.code(column, row);
        const missing = Number.isNaN(code) || code === UNSEEN;
        if (column.gap !== undefined) {
          return [...column.shown(missing ? column.gap : code), missing ? 1 : 0];
        }
        if (Number.isNaN(code)) throw new Error(`${column.what} has no value, and none of the training rows lacked it.`);
        if (code === UNSEEN) unseen = unseen || column;
        return column.shown(code);
      });
      return { context, unseen };
    }

    /** log p(columns | given) in nats; -Infinity for a value that the model has never seen. */
    logProb(row) {
      const { context, unseen } = this.context(rowOf(row));
      const codes = this.columns.map((column) => this.code(column, row));
      this.columns.forEach((column, k) => {
        if (!column.map || !Number.isNaN(codes[k])) return;
        throw new Error(`${column.what} has no value, and none of the training rows lacked it.`);
      });
      if (unseen || codes.includes(UNSEEN)) return -Infinity;
      const own = codes.filter((_, k) => this.columns[k].map);
      const terms = this.points.map((point) => {
        let sum = 0;
        const y = own.map((code, k) => {
          const [value, term] = this.modeled[k].map.encode(code, point[k]);
          sum += term;
          return value;
        });
        return sum + this.density.logProb(y, context);
      });
      const found = logSumExp(terms) - Math.log(terms.length);
      return Number.isFinite(found) ? found : -Infinity;
    }

    /** Draws, as rows; of a model with given columns all given one row of these. */
    sample(count, given = {}, random = Math.random) {
      checkCount(count);
      const context = this.conditions(given);
      return this.density.sample(count, context, random).map((y) => this.decoded(y));
    }

    /** The value below which a share of the one modeled column lies. */
    quantile(level, given = {}) {
      const y = this.density.quantile(level, this.conditions(given));
      return this.decoded([y])[this.modeled[0].name];
    }

    conditions(given) {
      const row = rowOf(given ?? {});
      const [name] = Object.keys(row);
      if (name !== undefined && !this.conditional) {
        const all = this.columns.map((column) => column.name).join(", ");
        throw new Error(`This model is p(${all}), without given columns: leave out "${name}".`);
      }
      const { context, unseen } = this.context(row);
      if (unseen) throw new Error(`${unseen.what} has ${shown(row[unseen.name])}, which the model has never seen.`);
      return context;
    }

    /** The row that numbers on the whole line stand for. */
    decoded(y) {
      let place = 0;
      const entries = this.columns.map((column) => {
        const code = column.map ? column.map.decode(y[place++]) : 0;
        return [column.name, column.values ? column.values.decode(code) : null];
      });
      // Not by assignment, which a column __proto__ would not survive.
      return Object.fromEntries(entries);
    }
  }

  root.pushforward.Table = Table;
})(globalThis);
