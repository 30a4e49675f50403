/* Networks that supply the parameters of maps, unit by unit as features become known. */
(function (root) {
  "use strict";

  const { numbers, matrix, dot, erf } = root.pushforward.parts;

  const ACTIVATIONS = {
    relu: (value) => (value > 0 ? value : 0),
    elu: (value) => (value > 0 ? value : Math.expm1(value)),
    silu: (value) => value / (1 + Math.exp(-value)),
    tanh: Math.tanh,
    gelu: (value) => 0.5 * value * (1 + erf(value * Math.SQRT1_2)),
  };

  /**
   * The network of a coupling or an autoregressive layer.
   *
   * Hidden units have degrees: those of degree d are computed by `advance(d)`, when the first d features are known.
   * So one pass serves both directions of an autoregressive layer. In a coupling layer all degrees are 0.
   */
  class Network {
    constructor(spec) {
      this.count = spec.count;
      this.layers = spec.layers.map((layer) => ({ ...layer, weight: matrix(layer.weight), bias: numbers(layer.bias) }));
      this.hidden = this.layers.length - 1;
      this.last = this.layers[this.hidden];
      this.context = matrix(spec.context);
      this.direct = matrix(spec.direct);
      this.directContext = matrix(spec.direct_context);
      this.activation = ACTIVATIONS[spec.activation];
      this.raw = this.layers.slice(0, -1).map((layer) => new Float64Array(layer.bias.length));
      this.activated = this.raw.map((units) => new Float64Array(units.length));
      this.groups = this.raw.map((units, layer) => {
        const groups = [];
        for (let unit = 0; unit < units.length; unit++) {
          const degree = spec.degrees[layer] ? spec.degrees[layer][unit] : 0;
          (groups[degree] = groups[degree] || []).push(unit);
        }
        return groups;
      });
      this.parameters = new Float64Array(this.count);
      this.added = this.context && new Float64Array(this.context.rows);
      this.addedDirectly = this.directContext && new Float64Array(this.directContext.rows);
    }

    begin(known, context) {
      if (this.context) {
        for (let unit = 0; unit < this.added.length; unit++) this.added[unit] = dot(this.context, unit, context);
      }
      if (this.directContext) {
        for (let unit = 0; unit < this.addedDirectly.length; unit++) {
          this.addedDirectly[unit] = dot(this.directContext, unit, context);
        }
      }
      this.advance(0, known);
    }

    advance(degree, known) {
      for (let index = 0; index < this.hidden; index++) {
        const { weight, bias, skip } = this.layers[index];
        const below = index === 0 ? known : this.activated[index - 1];
        for (const unit of this.groups[index][degree] || []) {
          let sum = bias[unit] + (weight ? dot(weight, unit, below) : 0);
          if (index === 0 && this.added) sum += this.added[unit];
          if (skip !== null) sum += this.raw[skip][unit];
          this.raw[index][unit] = sum;
          this.activated[index][unit] = this.activation(sum);
        }
      }
    }

    /** The parameters of one output; the array is used again by the next call. */
    of(output, known) {
      const { weight, bias } = this.last;
      const below = this.hidden === 0 ? known : this.activated[this.hidden - 1];
      for (let parameter = 0; parameter < this.count; parameter++) {
        const row = output * this.count + parameter;
        let sum = bias[row] + (weight ? dot(weight, row, below) : 0);
        if (this.hidden === 0 && this.added) sum += this.added[row];
        if (this.direct) sum += dot(this.direct, row, known);
        if (this.addedDirectly) sum += this.addedDirectly[row];
        this.parameters[parameter] = sum;
      }
      return this.parameters;
    }
  }

  /** The parameters of a whole layer, which may be a function of the context. */
  function amortized(spec) {
    const start = numbers(spec.start);
    const network = spec.network && new Network(spec.network);
    return (context) => {
      if (!network) return start;
      network.begin([], context);
      const found = network.of(0, []);
      return start.map((one, k) => one + found[k]);
    };
  }

  Object.assign(root.pushforward.parts, { Network, amortized });
})(globalThis);
