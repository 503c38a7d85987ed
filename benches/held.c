/* What a leak check costs in a C program that does nothing else: the least that it can cost under this Valgrind.

   held COUNT STACKS: holds COUNT blocks, each allocated on a stack of its own if STACKS is 1, and prints the
   microseconds of the quickest of many leak checks. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <valgrind/memcheck.h>

static void *held[1000];

static void *right(int depth, int way);

/* The bits of `way` are in the return addresses. */
static void *left(int depth, int way) {
    void *block = depth == 0 ? malloc(16) : way & 1 ? right(depth - 1, way >> 1) : left(depth - 1, way >> 1);
    __asm__ volatile("");
    return block;
}

static void *right(int depth, int way) {
    void *block = depth == 0 ? malloc(16) : way & 1 ? right(depth - 1, way >> 1) : left(depth - 1, way >> 1);
    __asm__ volatile("");
    return block;
}

static double microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

int main(int count, char **arguments) {
    int blocks = count > 1 ? atoi(arguments[1]) : 0, stacks = count > 2 && atoi(arguments[2]);
    double least = 1e9;
    for (int block = 0; block < blocks; block++)
        held[block] = left(10, stacks ? block : 0);
    for (int check = 0; check < 300; check++) {
        double start = microseconds();
        VALGRIND_DO_ADDED_LEAK_CHECK;
        double took = microseconds() - start;
        least = took < least ? took : least;
    }
    printf("%.1f\n", least);
    return 0;
}
