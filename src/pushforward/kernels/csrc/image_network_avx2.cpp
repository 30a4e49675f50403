// For x86 processors since about 2013.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma")
#define NAME(function) function##_avx2
#define REGISTER_BYTES 32
#include "image_network.inc"
#endif
