// For the instructions that every processor of the architecture has, in float64.
#define FLOAT64
#define NAME(function) function##_float64_baseline
#define REGISTER_BYTES 16
#include "kernels.inc"
