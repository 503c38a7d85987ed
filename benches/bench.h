/* The functions whose calls are measured: so short that the time is that of the call. */
#ifndef PYTHY_BENCH_H
#define PYTHY_BENCH_H

#include <stddef.h>

/* The sum; wraps around on overflow. */
int add(int a, int b);

/* The product. */
double mul(double a, double b);

/* The number of bytes before the terminating zero. */
size_t length(const char *text);

/* Increment what target points to. */
void poke(int *target);

#endif
