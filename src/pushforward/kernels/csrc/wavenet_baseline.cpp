// For the instructions that every processor of the kind has.
#define NAME(function) function##_baseline
#define TILE 1
#include "wavenet.inc"
