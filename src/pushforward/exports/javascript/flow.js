/* Flows, mixtures of them, and what reads a file: the functions that people call. */
(function (root) {
  "use strict";

  const {
    numbers, numbersOf, contextOf, checkCount, checkLevel, logSumExp, increasingRoot, stepsOf, REGRESSIONS, BASES, DRAWS,
    choice, baseQuantile, distribution, overLevel, LEAST_SLOPE,
  } = root.pushforward.parts;

  const VERSION = 1;

  function checkOneFeature(features) {
    if (features > 1) throw new Error(`A density over ${features} features has no quantiles.`);
  }

  class Flow {
    constructor(spec) {
      this.features = spec.features;
      this.contextFeatures = spec.context_features;
      this.steps = stepsOf(spec.bijection, (context) => context);
      this.base = spec.base;
      this.baseLogProb = BASES[spec.base.kind](spec.base);
    }

    /**
     * Move a row in place from stage to stage: 0 is the latent space, `steps.length` the data; returns log_det.
     *
     * Steps remember what they found of a context: give a new array for another one. Of NaN, and of a context that is
     * not finite, all is NaN.
     */
    through(row, from, to, context = null) {
      if (this.contextFeatures && !context) contextOf(context, this.contextFeatures);
      // A comparison takes NaN for a number on one of its sides, and would go on with finite ones.
      if (row.some(Number.isNaN) || (context && !context.every(Number.isFinite))) {
        row.fill(NaN);
        return NaN;
      }
      const ahead = to > from;
      let logDet = 0;
      for (let stage = from; stage !== to; stage += ahead ? 1 : -1) {
        const step = this.steps[ahead ? stage : stage - 1];
        logDet += step.apply(row, context && step.see(context), ahead === step.swapped);
      }
      return logDet;
    }

    /** {value, logDet} of the data that a latent row becomes. */
    forward(z, context = null) {
      const value = numbersOf(z, this.features, "row");
      const logDet = this.through(value, 0, this.steps.length, contextOf(context, this.contextFeatures));
      return { value, logDet };
    }

    /** {value, logDet} of the latent row of data. */
    inverse(x, context = null) {
      const value = numbersOf(x, this.features, "row");
      const logDet = this.through(value, this.steps.length, 0, contextOf(context, this.contextFeatures));
      return { value, logDet };
    }

    /** log p(x | context) in nats. */
    logProb(x, context = null) {
      const { value, logDet } = this.inverse(x, context);
      return this.baseLogProb(value) + logDet;
    }

    /** Draws, as rows; `random` gives uniform numbers from 0 to 1, as Math.random does. */
    sample(count, context = null, random = Math.random) {
      checkCount(count);
      const given = contextOf(context, this.contextFeatures);
      return Array.from({ length: count }, () => {
        const row = Float64Array.from(DRAWS[this.base.kind](this.base, this.features, random));
        this.through(row, 0, this.steps.length, given);
        return row;
      });
    }

    /** The x below which a share of a density of one feature lies. */
    quantile(level, context = null) {
      checkOneFeature(this.features);
      checkLevel(level);
      return this.forward([baseQuantile(this.base, level)], context).value[0];
    }

    /** The row at every stage, for a row that is known at one of them. */
    stages(row, at = 0, context = null) {
      const found = new Array(this.steps.length + 1);
      found[at] = Float64Array.from(row);
      for (const direction of [-1, 1]) {
        for (let stage = at; stage + direction >= 0 && stage + direction < found.length; stage += direction) {
          found[stage + direction] = Float64Array.from(found[stage]);
          this.through(found[stage + direction], stage, stage + direction, context);
        }
      }
      return found;
    }
  }

  /** A weighted mixture of flows: a density, but no single map. */
  class Mixture {
    constructor(spec) {
      this.features = spec.features;
      this.contextFeatures = spec.context_features;
      this.weights = Array.from(numbers(spec.weights));
      this.flows = spec.flows.map((flow) => new Flow(flow));
      this.regressions = spec.regressions.map((one) => REGRESSIONS[one.kind](one));
    }

    /** A context, followed by what functions say of it. */
    seen(context) {
      const given = contextOf(context, this.contextFeatures);
      return given && Float64Array.from([...given, ...this.regressions.map((one) => one(given))]);
    }

    /** log p(x | context) in nats. */
    logProb(x, context = null) {
      const seen = this.seen(context);
      return logSumExp(this.flows.map((flow, k) => Math.log(this.weights[k]) + flow.logProb(x, seen)));
    }

    /** Draws, as rows; `random` gives uniform numbers from 0 to 1, as Math.random does. */
    sample(count, context = null, random = Math.random) {
      checkCount(count);
      const seen = this.seen(context);
      return Array.from({ length: count }, () => {
        return this.flows[choice(this.weights, random)].sample(1, seen, random)[0];
      });
    }

    /** The x below which a share of a density of one feature lies. */
    quantile(level, context = null) {
      checkOneFeature(this.features);
      checkLevel(level);
      const seen = this.seen(context);
      const ends = this.flows.map((flow) => flow.quantile(level, seen));
      // There is nothing between infinite ends: those of the levels 0 and 1, and of NaN.
      const beyond = ends.find((end) => !Number.isFinite(end));
      if (beyond !== undefined) return beyond;
      const sides = this.flows.map((flow) => distribution(flow.base));
      const excess = (x) => {
        const sums = [0, 0];
        let slope = 0;
        this.flows.forEach((flow, k) => {
          const { value, logDet } = flow.inverse([x], seen);
          sides[k](value[0]).forEach((side, which) => (sums[which] += this.weights[k] * side));
          slope += this.weights[k] * Math.exp(flow.baseLogProb(value) + logDet);
        });
        return [overLevel(sums, level), Math.max(slope, LEAST_SLOPE)];
      };
      return increasingRoot(excess, Math.min(...ends), Math.max(...ends));
    }
  }

  /** Read what `pushforward export MODEL -o model.json` writes: a flow, a mixture of flows, or a model of a table. */
  function read(spec) {
    const { format, version } = spec === null || typeof spec !== "object" ? {} : spec;
    const known = format === "pushforward-flow" || format === "pushforward-table";
    if (!known || !Number.isInteger(version) || version < 1 || version > VERSION) {
      throw new Error(`This is not a model of pushforward, or it is one of a later version than ${VERSION}.`);
    }
    const [made, parts] =
      format === "pushforward-table"
        ? [root.pushforward.Table, ["density", "columns", "given", "points"]]
        : spec.flows
          ? [Mixture, ["features", "context_features", "weights", "flows", "regressions"]]
          : [Flow, ["features", "context_features", "bijection", "base"]];
    const lacking = parts.find((part) => spec[part] === undefined);
    if (lacking) throw new Error(`This model of pushforward is damaged: it has no "${lacking}".`);
    return new made(spec);
  }

  Object.assign(root.pushforward, { read, Flow, Mixture, logSumExp });
})(globalThis);
