/* Flows, mixtures of them, and what reads a file: the functions that people call. */
(function (root) {
  "use strict";

  const {
    numbers, logSumExp, increasingRoot, stepsOf, REGRESSIONS, BASES, DRAWS, choice, baseQuantile, distribution,
    overLevel, LEAST_SLOPE,
  } = root.pushforward.parts;

  const VERSION = 1;

  /** A row, as a copy that a step may change. */
  function rowOf(values, features) {
    if (values.length !== features) throw new Error(`Expected a row of ${features} numbers, got ${values.length}.`);
    return Float64Array.from(values);
  }

  /** A context as an array that nobody changes, since steps remember what they found of it. */
  function contextOf(context, size) {
    if (!size) {
      if (context) throw new Error("This density takes no context.");
      return null;
    }
    if (!context) throw new Error(`This density needs a context of ${size} numbers.`);
    if (context.length !== size) throw new Error(`Expected a context of ${size} numbers, got ${context.length}.`);
    return Float64Array.from(context);
  }

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
     * Steps remember what they found of a context: give a new array for another one.
     */
    through(row, from, to, context = null) {
      if (this.contextFeatures && !context) contextOf(context, this.contextFeatures);
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
      const value = rowOf(z, this.features);
      const logDet = this.through(value, 0, this.steps.length, contextOf(context, this.contextFeatures));
      return { value, logDet };
    }

    /** {value, logDet} of the latent row of data. */
    inverse(x, context = null) {
      const value = rowOf(x, this.features);
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
      const seen = this.seen(context);
      return Array.from({ length: count }, () => {
        return this.flows[choice(this.weights, random)].sample(1, seen, random)[0];
      });
    }

    /** The x below which a share of a density of one feature lies. */
    quantile(level, context = null) {
      checkOneFeature(this.features);
      const seen = this.seen(context);
      const ends = this.flows.map((flow) => flow.quantile(level, seen));
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
    const known = spec.format === "pushforward-flow" || spec.format === "pushforward-table";
    if (!known || spec.version > VERSION) {
      throw new Error(`This is no model of pushforward, or one of a later version than ${VERSION}.`);
    }
    if (spec.format === "pushforward-table") return new root.pushforward.Table(spec);
    return spec.flows ? new Mixture(spec) : new Flow(spec);
  }

  Object.assign(root.pushforward, { read, Flow, Mixture, logSumExp });
})(globalThis);
