/* The elementary steps of a bijection in the generative order, from the latent space to the data. */
(function (root) {
  "use strict";

  const { BIJECTIONS, contextMap, widening, widen } = root.pushforward.parts;

  /** A list of {kind, apply, see, swapped, ofData}; `see` gives what a step is shown of the context. */
  function stepsOf(spec, see) {
    if (spec.kind === "compose") return spec.parts.flatMap((part) => stepsOf(part, see));
    if (spec.kind === "inverse") {
      return stepsOf(spec.part, see)
        .reverse()
        .map((step) => ({ ...step, swapped: !step.swapped }));
    }
    if (spec.kind === "standardized") return standardized(spec, see);
    if (!BIJECTIONS[spec.kind]) throw new Error(`A bijection of kind "${spec.kind}" is not known here.`);
    return [{ kind: spec.kind, apply: BIJECTIONS[spec.kind](spec), see, swapped: false, ofData: false }];
  }

  /** A row through all steps in place; log_det. */
  function walk(steps, row, context, backwards) {
    let logDet = 0;
    for (let k = 0; k < steps.length; k++) {
      const step = steps[backwards ? steps.length - 1 - k : k];
      logDet += step.apply(row, context && step.see(context), backwards !== step.swapped);
    }
    return logDet;
  }

  function standardized(spec, see) {
    // Steps after these are in the units of the data.
    const ofData = stepsOf(spec.data, see).map((step) => ({ ...step, ofData: true }));
    if (!spec.context) return [...stepsOf(spec.part, see), ...ofData];
    const map = contextMap(spec.context);
    // Every step asks for the same context, an array that nobody changes.
    const mapped = remembered(map);
    const part = stepsOf(spec.part, (context) => mapped(see(context)).seen);
    if (!spec.context.trend) return [...part, ...ofData];
    const found = widening(spec.context.trend);
    const inner = stepsOf(spec.part, (context) => mapped(context).seen);
    const data = stepsOf(spec.data, (context) => context);
    const widenings = remembered((context) => {
      const { beyond } = mapped(context);
      if (!beyond.some((value) => value !== 0)) return null;
      return found(beyond, (latents) => {
        const images = latents.map((latent) => {
          const row = Float64Array.from(latent);
          walk(inner, row, context, false);
          return row;
        });
        const values = images.map((image) => {
          const row = Float64Array.from(image);
          walk(data, row, context, false);
          return row;
        });
        return [images, values];
      });
    });
    return [...part, ...ofData.map((step) => ({ ...step, apply: widened(step.apply, widenings) }))];
  }

  /** A step into the units of the data, between a widening before it and one after it. */
  function widened(apply, widenings) {
    return (row, context, backwards) => {
      const found = context && widenings(context);
      if (!found) return apply(row, context, backwards);
      const [first, last] = backwards ? [found.values, found.scores] : [found.scores, found.values];
      const before = widen(row, first, backwards);
      const within = apply(row, context, backwards);
      return before + within + widen(row, last, backwards);
    };
  }

  /** A function of a context that is computed once for each. */
  function remembered(of) {
    let last = null;
    let found = null;
    return (context) => {
      if (context !== last) found = of(context);
      last = context;
      return found;
    };
  }

  Object.assign(root.pushforward.parts, { stepsOf, walk });
})(globalThis);
