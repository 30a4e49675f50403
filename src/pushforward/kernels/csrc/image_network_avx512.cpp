// For x86 processors with the AVX-512 of servers since about 2017.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,fma,prefer-vector-width=512")
#define NAME(function) function##_avx512
#define REGISTER_BYTES 64
#include "image_network.inc"
#endif
