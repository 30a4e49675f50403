// The functions that the maps need, each in the precision of the build.
#pragma once
#include "vector.h"

#ifdef FLOAT64
#include "float64.h"
#else
#include "float32.h"
#endif

// log(1 + e) for e ≥ 0, exact also where e is tiny.
INLINE vec logarithm_of_one_plus(vec e) {
    vec u = e + 1.0f, rest = u - 1.0f;
    return rest == 0.0f ? e : logarithm(u) * e / rest;
}

INLINE vec softplus(vec x) { return maximum(x, vec{}) + logarithm_of_one_plus(exponential(-absolute(x))); }
INLINE vec sigmoid(vec x) {
    vec e = exponential(-absolute(x)), share = 1.0f / (1.0f + e);
    return x < 0.0f ? e * share : share;
}

// exp(x) - 1, exact also where x is tiny.
INLINE vec exponential_minus_one(vec x) {
    return absolute(x) < 0.34f ? exponential_minus_one_of_small(x) : exponential(x) - 1.0f;
}
