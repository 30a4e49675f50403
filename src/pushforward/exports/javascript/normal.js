/* The normal distribution: erfc by Cody 1969, doi:10.1090/S0025-5718-1969-0247736-4; quantiles by Wichura 1988, AS 241. */
(function (root) {
  "use strict";

  const { LOG_2PI } = root.pushforward.parts;

  const ERF = [
    0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694,
  ];
  const ERF_BELOW = [
    1.0, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171,
  ];
  const ERFCX = [
    2.1531153547440383e-08, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001,
    881.952221241769, 1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
  ];
  const ERFCX_BELOW = [
    1.0, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
    4362.619090143247, 3439.3676741437216, 1230.3393548037495,
  ];
  const FAR = [
    0.016315387137302097, 0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.016083785148742275,
    0.0006587491615298378,
  ];
  const FAR_BELOW = [
    1.0, 2.568520192289822, 1.8729528499234673, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918,
  ];
  const CENTER = [
    2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987, 13731.69376550946,
    1971.5909503065513, 133.14166789178438, 3.3871328727963665,
  ];
  const CENTER_BELOW = [
    5226.495278852854, 28729.085735721943, 39307.89580009271, 21213.794301586597, 5394.196021424751,
    687.1870074920579, 42.31333070160091, 1.0,
  ];
  const TAIL = [
    0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684, 3.6478483247632045,
    5.769497221460691, 4.630337846156546, 1.4234371107496835,
  ];
  const TAIL_BELOW = [
    1.0507500716444169e-09, 0.0005475938084995345, 0.015198666563616457, 0.14810397642748008, 0.6897673349851,
    1.6763848301838038, 2.053191626637759, 1.0,
  ];
  const END = [
    2.0103343992922881e-07, 2.7115555687434876e-05, 0.0012426609473880784, 0.026532189526576124, 0.29656057182850487,
    1.7848265399172913, 5.463784911164114, 6.657904643501103,
  ];
  const END_BELOW = [
    2.0442631033899397e-15, 1.421511758316446e-07, 1.8463183175100548e-05, 0.0007868691311456133,
    0.014875361290850615, 0.1369298809227358, 0.599832206555888, 1.0,
  ];

  function ratio(x, above, below) {
    let top = above[0];
    let bottom = below[0];
    for (let k = 1; k < above.length; k++) {
      top = top * x + above[k];
      bottom = bottom * x + below[k];
    }
    return top / bottom;
  }

  /** exp(x²) erfc(x) of x ≥ 0. */
  function erfcx(x) {
    if (x <= 0.46875) return Math.exp(x * x) * (1 - x * ratio(x * x, ERF, ERF_BELOW));
    if (x <= 4) return ratio(x, ERFCX, ERFCX_BELOW);
    const inverse = 1 / (x * x);
    return (1 / Math.sqrt(Math.PI) - inverse * ratio(inverse, FAR, FAR_BELOW)) / x;
  }

  function erf(x) {
    if (Math.abs(x) <= 0.46875) return x * ratio(x * x, ERF, ERF_BELOW);
    return Math.sign(x) * (1 - Math.exp(-x * x) * erfcx(Math.abs(x)));
  }

  function ndtr(z) {
    const tail = 0.5 * Math.exp(-0.5 * z * z) * erfcx(Math.abs(z) * Math.SQRT1_2);
    return z < 0 ? tail : 1 - tail;
  }

  function logNdtr(z) {
    if (z < 0) return Math.log(0.5 * erfcx(-z * Math.SQRT1_2)) - 0.5 * z * z;
    return Math.log1p(-ndtr(-z));
  }

  const logNormal = (z) => -0.5 * (z * z + LOG_2PI);

  /** How far below 0 the normal distribution has a probability of at most a half. */
  function normalDistance(logP, fromMiddle) {
    if (fromMiddle <= 0.425) return fromMiddle * ratio(0.425 ** 2 - fromMiddle * fromMiddle, CENTER, CENTER_BELOW);
    const root = Math.sqrt(-logP);
    if (root <= 5) return ratio(root - 1.6, TAIL, TAIL_BELOW);
    if (root <= 27) return ratio(root - 5, END, END_BELOW);
    return Math.sqrt(-2 * logP - Math.log(-4 * Math.PI * logP));
  }

  /** Φ⁻¹(p) of p and 1 - p, from the smaller of the two, which has the digits. */
  function probit(below, above) {
    const smaller = Math.min(below, above);
    const distance = smaller > 0 ? normalDistance(Math.log(smaller), 0.5 - smaller) : Infinity;
    return below < above ? -distance : distance;
  }

  /** Φ⁻¹(p) of log p and log(1 - p), however far out. */
  function normalQuantile(logBelow, logAbove) {
    const smaller = Math.min(logBelow, logAbove, -Math.LN2);
    let distance = normalDistance(smaller, 0.5 - Math.exp(smaller));
    for (let step = 0; step < 3; step++) {
      const logP = logNdtr(-distance);
      distance += (logP - smaller) * Math.exp(logP - logNormal(distance));
    }
    return logBelow < logAbove ? -distance : distance;
  }

  Object.assign(root.pushforward.parts, { erf, erfcx, ndtr, logNdtr, logNormal, probit, normalQuantile });
})(globalThis);
