/* The stock list of defects.h. Each defect is marked where it is. */
#include "defects.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *item;
    struct entry *next;
    int quantity;
};

struct stock {
    struct entry *first;
    int count;
    int sorted; /* whether the entries are in alphabetical order */
};

static char *copy_text(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

static void end_text(char *text, size_t length) {
    /* Defect: stock_label() comes here with the buffer's size when the buffer is full. */
    text[length] = '\0';
}

static void free_entry(struct entry *entry) {
    free(entry->item);
    free(entry);
}

/* Swaps neighbours until all are in order. */
static void sort(struct stock *stock) {
    int swapped;
    /* Defect: stock_open() does not set `sorted`, so this may or may not sort. */
    if (stock->sorted)
        return;
    do {
        swapped = 0;
        for (struct entry **at = &stock->first; *at && (*at)->next; at = &(*at)->next) {
            struct entry *left = *at, *right = left->next;
            if (strcmp(left->item, right->item) > 0) {
                left->next = right->next;
                right->next = left;
                *at = right;
                swapped = 1;
            }
        }
    } while (swapped);
    stock->sorted = 1;
}

struct stock *stock_open(void) {
    struct stock *stock = malloc(sizeof *stock);
    if (!stock)
        return NULL;
    stock->first = NULL;
    stock->count = 0;
    return stock;
}

void stock_close(struct stock *stock) {
    if (!stock)
        return;
    for (struct entry *entry = stock->first; entry;) {
        struct entry *next = entry->next;
        free_entry(entry);
        entry = next;
    }
    free(stock);
}

int stock_add(struct stock *stock, const char *item, int quantity) {
    struct entry **at = &stock->first;
    struct entry *entry = malloc(sizeof *entry);
    if (!entry)
        return -1;
    entry->item = copy_text(item);
    if (!entry->item) {
        free(entry);
        return -1;
    }
    entry->quantity = quantity;
    entry->next = NULL;
    while (*at)
        at = &(*at)->next;
    *at = entry;
    return ++stock->count;
}

int stock_remove(struct stock *stock, const char *item) {
    for (struct entry **at = &stock->first; *at; at = &(*at)->next) {
        struct entry *entry = *at;
        if (strcmp(entry->item, item) == 0) {
            *at = entry->next;
            stock->count--;
            free_entry(entry);
            /* Defect: the entry is gone. */
            return entry->quantity;
        }
    }
    return -1;
}

int stock_place(struct stock *stock, const char *item) {
    int place = 0;
    sort(stock);
    for (struct entry *entry = stock->first; entry; entry = entry->next, place++)
        if (strcmp(entry->item, item) == 0)
            return place;
    return -1;
}

/* Reads "apple 3" up to the line's end, which it overwrites; false when it is something else. */
static int load_line(struct stock *stock, char *line, char *end) {
    char *space;
    *end = '\0';
    space = strrchr(line, ' ');
    if (!space)
        return 0;
    *space = '\0';
    return stock_add(stock, line, atoi(space + 1)) > 0;
}

int stock_load(struct stock *stock, const char *text) {
    int added = 0;
    char *copy = copy_text(text);
    if (!copy)
        return -1;
    for (char *line = copy; *line; added++) {
        char *end = line + strcspn(line, "\n");
        int last = *end == '\0';
        if (!load_line(stock, line, end))
            /* Defect: the copy of the text is lost. */
            return -1;
        line = last ? end : end + 1;
    }
    free(copy);
    return added;
}

size_t stock_label(const char *item, char *label, size_t size) {
    size_t length = 0;
    while (item[length] && length < size) {
        label[length] = (char)toupper((unsigned char)item[length]);
        length++;
    }
    end_text(label, length);
    return strlen(item);
}
