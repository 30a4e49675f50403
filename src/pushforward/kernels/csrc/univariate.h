// The families of univariate maps: values and log-derivatives, and the gradients of both.
#pragma once
#include "spline.h"

enum Family { ADDITIVE = 0, AFFINE = 1, SPLINE = 2 };

// A family, in the precision of the build.
struct Map {
    int family;
    number log_scale_bound;
    Shape spline;

    Map(const Univariate &map) : family(map.family), log_scale_bound(map.log_scale_bound), spline(map.spline) {}
};

constexpr number HALF_PI = 1.57079632679489662;

INLINE int parameter_count(const Map &map) {
    return map.family == ADDITIVE ? 1 : map.family == AFFINE ? 2 : parameter_count(map.spline);
}

// x and log ∂x/∂z from z or, with `inverse`, z and log ∂z/∂x from x. The logarithm of an affine map's scale is softly
// bounded; see bijections/univariate/.
INLINE Pair apply(const Map &map, bool inverse, vec value, const vec *p) {
    if (map.family == ADDITIVE) return {inverse ? value - p[0] : value + p[0], vec{}};
    if (map.family == AFFINE) {
        const number slope = HALF_PI / map.log_scale_bound;
        const vec log_scale = arctangent(p[1] * slope) * (1.0f / slope);
        if (inverse) return {(value - p[0]) * exponential(-log_scale), -log_scale};
        return {p[0] + exponential(log_scale) * value, log_scale};
    }
    return apply(map.spline, value, p, inverse);
}

// The gradient of `value` and, in `of_p`, that of its parameters, from the gradients of both results of `apply`.
INLINE vec gradients(const Map &map, bool inverse, vec value, const vec *p, vec of_mapped, vec of_log,
                     vec *of_p) {
    if (map.family == ADDITIVE) {
        of_p[0] = inverse ? -of_mapped : of_mapped;
        return of_mapped;
    }
    if (map.family == AFFINE) {
        const number slope = HALF_PI / map.log_scale_bound;
        const vec bent = p[1] * slope, log_scale = arctangent(bent) * (1.0f / slope);
        const vec of_value = of_mapped * exponential(inverse ? -log_scale : log_scale);
        of_p[0] = inverse ? -of_value : of_mapped;
        of_p[1] = (inverse ? -of_value * (value - p[0]) - of_log : of_value * value + of_log) / (1.0f + bent * bent);
        return of_value;
    }
    return gradients(map.spline, value, p, inverse, of_mapped, of_log, of_p);
}
