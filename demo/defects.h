/*
 * A stock list: how many there are of each item on the shelves of a small shop.
 *
 * The interface is what it seems. The implementation, defects.c, has four defects of the kinds that
 * C code has in earnest; pythy's demo finds them.
 */
#ifndef DEFECTS_H
#define DEFECTS_H

#include <stddef.h>

/* A stock list. Only the library knows what is in it. */
struct stock;

/* Opens an empty list; NULL when there is no memory. Give it back with stock_close(). */
struct stock *stock_open(void);

/* Closes a list and frees all that belongs to it. NULL is ignored. */
void stock_close(struct stock *stock);

/* Adds an item; returns how many different items the list has now, or -1 when there is no memory. */
int stock_add(struct stock *stock, const char *item, int quantity);

/* Takes an item off the list; returns how many of it there were, or -1 when it is not on the list. */
int stock_remove(struct stock *stock, const char *item);

/* Puts the list into alphabetical order; returns an item's place, from 0, or -1 when it has none. */
int stock_place(struct stock *stock, const char *item);

/*
 * Reads items from text, one on each line, as in "apple 3". Returns how many it has added, or -1
 * at the first line that is not of this form; the lines before it are on the list then.
 */
int stock_load(struct stock *stock, const char *text);

/*
 * Writes a shelf label, the item's name in capitals, into a buffer of the given size: cut off where
 * it is too long, and always ended by a NUL. Returns the length of the whole label.
 */
size_t stock_label(const char *item, char *label, size_t size);

#endif
