/* All that it has are macros that choose between the functions of these two. */
#include <complex.h>
#include <math.h>
