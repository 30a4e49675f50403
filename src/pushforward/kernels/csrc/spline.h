// The rational quadratic spline of a vector of numbers, see bijections/univariate/spline.py for the formulas.
#pragma once
#include "functions.h"
#include "structures.h"

constexpr int MOST_BINS = 64;
enum Tails { IDENTITY = 0, LINEAR = 1, CIRCULAR = 2 };

// What all splines of a call share, in the precision of the build.
struct Shape {
    int bins, tails;
    number bound, smallest_bin, smallest_slope, slope_shift;

    Shape(const Spline &spline)
        : bins(spline.bins), tails(spline.tails), bound(spline.bound), smallest_bin(spline.smallest_bin),
          smallest_slope(spline.smallest_slope), slope_shift(spline.slope_shift) {}
};

INLINE int parameter_count(const Shape &spline) {
    return 3 * spline.bins - 1 + (spline.tails == LINEAR ? 2 : spline.tails == CIRCULAR ? 1 : 0);
}

// The slope parameter of a knot; -1 where the slope is 1.
INLINE int slope_index(const Shape &spline, int knot) {
    if (spline.tails == LINEAR) return knot;
    if (spline.tails == CIRCULAR) return knot == spline.bins ? 0 : knot;
    return knot == 0 || knot == spline.bins ? -1 : knot - 1;
}

// The bin that a value lies in, with everything that the formulas need of it.
struct Bin {
    vec left, width, bottom, height, a, b, raw_a, raw_b;
    ivec index;
};

// exp(p - max p), and 1 / Σ of it.
INLINE vec exponentials(const vec *p, int count, vec *out) {
    vec most = p[0], total = {};
    for (int k = 1; k < count; k++) most = maximum(most, p[k]);
    for (int k = 0; k < count; k++) total += out[k] = exponential_of_negative(p[k] - most);
    return 1.0f / total;
}

INLINE vec slope_of(const Shape &spline, vec raw) { return softplus(raw + spline.slope_shift) + spline.smallest_slope; }

// The bin of a value on one axis, or `by_height` on the other. `p` are the sizes of the bins along both axes, before the
// softmax, and the slopes; `shares` receives both softmaxes, one after the other.
INLINE Bin find_bin(const Shape &spline, vec value, const vec *p, bool by_height, vec *shares) {
    const int bins = spline.bins;
    const number span = 2 * spline.bound, least = spline.smallest_bin * span;
    const vec *slopes = p + 2 * bins;
    vec *searched = shares + (by_height ? bins : 0), *other = shares + (by_height ? 0 : bins);
    const vec scale = exponentials(p + (by_height ? bins : 0), bins, searched);
    const vec scale_other = exponentials(p + (by_height ? 0 : bins), bins, other);
    const number free = 1 - bins * spline.smallest_bin;
    Bin bin;
    auto raw = [&](int knot) {
        int index = slope_index(spline, knot);
        return index < 0 ? vec{} : slopes[index];
    };
    vec start = all(-spline.bound), start_other = start;
    vec left = start, bottom = start, width = {}, height = {}, raw_a = {}, raw_b = {};
    ivec index = {};
    for (int k = 0; k < bins; k++) {
        searched[k] *= scale;
        other[k] *= scale_other;
        vec size = least + span * free * searched[k], size_other = least + span * free * other[k];
        // The first bin takes every value, NaN included.
        ivec here = k == 0 ? ivec{} - 1 : (ivec)(value >= start);
        left = here ? start : left;
        width = here ? size : width;
        bottom = here ? start_other : bottom;
        height = here ? size_other : height;
        raw_a = here ? raw(k) : raw_a;
        raw_b = here ? raw(k + 1) : raw_b;
        index = here ? ivec{} + k : index;
        start += size;
        start_other += size_other;
        if (k == bins - 2) { // the last bin ends exactly at the corner of the box, despite rounding
            vec last = spline.bound - start, last_other = spline.bound - start_other;
            ivec beyond = (ivec)(value >= start);
            searched[k + 1] *= scale;
            other[k + 1] *= scale_other;
            left = beyond ? start : left;
            width = beyond ? last : width;
            bottom = beyond ? start_other : bottom;
            height = beyond ? last_other : height;
            raw_a = beyond ? raw(k + 1) : raw_a;
            raw_b = beyond ? raw(k + 2) : raw_b;
            index = beyond ? ivec{} + (k + 1) : index;
            break;
        }
    }
    bin.index = index;
    bin.raw_a = raw_a;
    bin.raw_b = raw_b;
    bin.a = slope_of(spline, raw_a);
    bin.b = slope_of(spline, raw_b);
    bin.left = by_height ? bottom : left;
    bin.width = by_height ? height : width;
    bin.bottom = by_height ? left : bottom;
    bin.height = by_height ? width : height;
    return bin;
}

// The nearest point of the box, and how far outside the value lies; by whole turns if circular.
INLINE vec split(const Shape &spline, vec value, vec &outside) {
    vec inside = value;
    outside = vec{};
    if (spline.tails == CIRCULAR) {
        const number span = 2 * spline.bound;
        outside = rounded_down((value + spline.bound) / span) * span;
        inside = value - outside;
    }
    inside = inside < -spline.bound ? all(-spline.bound) : inside;
    inside = inside > spline.bound ? all(spline.bound) : inside;
    if (spline.tails != CIRCULAR) outside = value - inside;
    return inside;
}

struct Pair {
    vec value, log_derivative;
};

INLINE vec rise(vec theta, vec s, vec a, vec b) {
    vec rest = 1.0f - theta, both = theta * rest;
    return (s * theta * theta + a * both) / (s * (theta * theta + rest * rest) + (a + b) * both);
}

// The slope at θ in units of s, and its numerator and denominator.
INLINE vec relative_slope(vec theta, vec s, vec a, vec b) {
    vec rest = 1.0f - theta, both = theta * rest;
    vec numerator = b * theta * theta + 2.0f * s * both + a * rest * rest;
    vec denominator = s * (theta * theta + rest * rest) + (a + b) * both;
    return s * numerator / (denominator * denominator);
}

INLINE vec log_slope(vec theta, vec s, vec a, vec b) {
    vec rest = 1.0f - theta, both = theta * rest;
    vec numerator = b * theta * theta + 2.0f * s * both + a * rest * rest;
    vec denominator = s * (theta * theta + rest * rest) + (a + b) * both;
    return logarithm(numerator) + 2.0f * logarithm(s / denominator);
}

INLINE vec solve(vec share, vec s, vec a, vec b) {
    vec bend = a + b - 2.0f * s, q = a - share * bend;
    ivec other = q > s;
    vec share_from_end = other ? 1.0f - share : share;
    q = other ? b - share_from_end * bend : q;
    vec square = q * q + 4.0f * (s - q) * s * share_from_end;
    vec r = root(square < 0.0f ? vec{} : square);
    vec theta = q >= 0.0f ? 2.0f * s * share_from_end / (q + r) : (r - q) / (2.0f * (s - q));
    theta = other ? 1.0f - theta : theta;
    vec start = theta < 0.0f ? vec{} : theta > 1.0f ? all(1.0f) : theta;
    vec polished = start - (rise(start, s, a, b) - share) / relative_slope(start, s, a, b);
    return polished < 0.0f ? vec{} : polished > 1.0f ? all(1.0f) : polished;
}

INLINE vec end_slope(const Shape &spline, vec value, const vec *p) {
    const vec *slopes = p + 2 * spline.bins;
    return slope_of(spline, value < 0.0f ? slopes[0] : slopes[spline.bins]);
}

// spline(value) and the logarithm of the slope, or those of the inverse.
ALONE Pair apply(const Shape &spline, vec value, const vec *p, bool inverse) {
    vec outside, shares[2 * MOST_BINS];
    vec inside = split(spline, value, outside);
    Bin bin = find_bin(spline, inside, p, inverse, shares);
    vec s = bin.height / bin.width, theta, mapped, sign = all(inverse ? -1.0f : 1.0f);
    if (inverse) {
        theta = solve((inside - bin.bottom) / bin.height, s, bin.a, bin.b);
        mapped = bin.left + bin.width * theta;
    } else {
        theta = (inside - bin.left) / bin.width;
        mapped = bin.bottom + bin.height * rise(theta, s, bin.a, bin.b);
    }
    if (spline.tails == LINEAR) {
        vec end = end_slope(spline, value, p);
        // Zero times infinity is NaN, and nothing of a value inside lies outside.
        outside = outside == 0.0f ? outside : inverse ? outside / end : outside * end;
    }
    return {mapped + outside, sign * log_slope(theta, s, bin.a, bin.b)};
}

// Gradients of apply's results, with respect to the value and, in `of_p`, the parameters.
ALONE vec gradients(const Shape &spline, vec value, const vec *p, bool inverse, vec of_mapped, vec of_log,
                   vec *of_p) {
    const int bins = spline.bins;
    vec outside, shares[2 * MOST_BINS];
    vec inside = split(spline, value, outside);
    Bin bin = find_bin(spline, inside, p, inverse, shares);
    vec s = bin.height / bin.width;
    // For the inverse θ is solved for again: computed from the rounded result it would lack digits in a narrow bin.
    vec theta = inverse ? solve((inside - bin.bottom) / bin.height, s, bin.a, bin.b) : (inside - bin.left) / bin.width;
    theta = theta < 0.0f ? vec{} : theta > 1.0f ? all(1.0f) : theta;
    vec rest = 1.0f - theta, both = theta * rest, corner = 1.0f - 2.0f * both;
    vec numerator = s * theta * theta + bin.a * both;
    vec denominator = s * corner + (bin.a + bin.b) * both;
    vec upper = bin.b * theta * theta + 2.0f * s * both + bin.a * rest * rest;
    vec per = 1.0f / denominator, per_upper = 1.0f / upper, ratio = numerator * per;
    vec slope = s * s * upper * per * per; // ∂x/∂z
    // Derivatives of the rise R and of the logarithm of the slope with respect to θ, s, a and b.
    vec rise_theta = slope / s;
    vec rise_s = (theta * theta - ratio * corner) * per;
    vec rise_a = (1.0f - ratio) * both * per, rise_b = -ratio * both * per;
    vec log_theta = 2.0f * (bin.b * theta + s * (1.0f - 2.0f * theta) - bin.a * rest) * per_upper -
                    2.0f * (bin.a + bin.b - 2.0f * s) * (1.0f - 2.0f * theta) * per;
    vec log_s = 2.0f * both * per_upper + 2.0f / s - 2.0f * corner * per;
    vec log_a = rest * rest * per_upper - 2.0f * both * per, log_b = theta * theta * per_upper - 2.0f * both * per;
    // Outside the box only the straight line depends on the value, not the point of the spline or its slope.
    ivec within = spline.tails == CIRCULAR ? ivec{} - 1 : (ivec)(outside == 0.0f);
    vec log_z = within ? log_theta / bin.width : vec{};
    vec end = spline.tails == LINEAR ? end_slope(spline, value, p) : all(1.0f);
    vec total_slope = within ? slope : end;
    vec of_x = of_mapped, of_log_slope = of_log, of_value;
    if (inverse) { // the implicit function theorem: ∂z = -∂x / slope
        of_log_slope = -of_log;
        of_value = (of_mapped + of_log_slope * log_z) / total_slope;
        of_x = -of_value;
    } else {
        of_value = of_x * total_slope + of_log_slope * log_z;
    }
    // Gradients of the bin: left, width, bottom, height, a, b. Outside, R stays at a corner of the box.
    vec through_theta = of_x * bin.height * rise_theta + of_log_slope * log_theta;
    vec through_s = of_x * bin.height * rise_s + of_log_slope * log_s;
    vec of_left = -through_theta / bin.width;
    vec of_width = -(through_theta * theta + through_s * s) / bin.width;
    vec of_bottom = of_x;
    vec of_height = of_x * ratio + through_s / bin.width;
    // A point outside maps to the corner of the box, which does not move with the bin.
    of_left = within ? of_left : vec{};
    of_width = within ? of_width : vec{};
    of_bottom = within ? of_bottom : vec{};
    of_height = within ? of_height : vec{};
    vec of_a = of_x * bin.height * rise_a + of_log_slope * log_a;
    vec of_b = of_x * bin.height * rise_b + of_log_slope * log_b;
    const number span = 2 * spline.bound * (1 - bins * spline.smallest_bin);
    for (int axis = 0; axis < 2; axis++) {
        const vec *share = shares + axis * bins;
        vec *out = of_p + axis * bins, of_start = axis ? of_bottom : of_left, of_size = axis ? of_height : of_width;
        vec mean = {};
        for (int k = 0; k < bins; k++) {
            vec g = bin.index == k ? of_size : k < bin.index ? of_start : vec{};
            out[k] = g;
            mean += share[k] * g;
        }
        for (int k = 0; k < bins; k++) out[k] = span * share[k] * (out[k] - mean);
    }
    const int free_slopes = parameter_count(spline) - 2 * bins;
    vec *of_slopes = of_p + 2 * bins;
    for (int k = 0; k < free_slopes; k++) of_slopes[k] = vec{};
    of_a *= sigmoid(bin.raw_a + spline.slope_shift);
    of_b *= sigmoid(bin.raw_b + spline.slope_shift);
    for (int knot = 0; knot <= bins; knot++) {
        int index = slope_index(spline, knot);
        if (index < 0) continue;
        of_slopes[index] += (bin.index == knot ? of_a : vec{}) + (bin.index == knot - 1 ? of_b : vec{});
    }
    if (spline.tails == LINEAR) {
        // x = ±bound + (z ∓ bound) · end, so that ∂x/∂end is the distance in z.
        const vec *slopes = p + 2 * bins;
        vec of_end = within ? vec{} : of_x * (inverse ? outside / end : outside);
        vec raw = value < 0.0f ? slopes[0] : slopes[bins];
        of_end *= sigmoid(raw + spline.slope_shift);
        of_slopes[0] += value < 0.0f ? of_end : vec{};
        of_slopes[bins] += value < 0.0f ? vec{} : of_end;
    }
    return of_value;
}
