// For the instructions that every processor of the kind has.
#define NAME(function) function##_baseline
#include "wavenet.inc"
