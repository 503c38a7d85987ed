/* bench.h by hand: what a careful C programmer writes against CPython's API, and so what pythy is
 * measured against.  Every function is there twice: holding the GIL, and releasing it. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <limits.h>
#include <string.h>

#include "bench.h"

static int takes(const char *name, Py_ssize_t given, Py_ssize_t wanted) {
    if (given == wanted)
        return 1;
    PyErr_Format(PyExc_TypeError, "%s() takes %zd arguments, got %zd", name, wanted, given);
    return 0;
}

static int to_int(PyObject *object, int *value) {
    long wide = PyLong_AsLong(object);
    if (wide == -1 && PyErr_Occurred())
        return 0;
    if (wide < INT_MIN || wide > INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "argument does not fit int");
        return 0;
    }
    *value = (int)wide;
    return 1;
}

static int to_double(PyObject *object, double *value) {
    *value = PyFloat_AsDouble(object);
    return !(*value == -1.0 && PyErr_Occurred());
}

/* A zero byte inside would cut the text short unseen. */
static int to_text(PyObject *object, const char **text) {
    char *bytes;
    if (PyBytes_AsStringAndSize(object, &bytes, NULL) < 0)
        return 0;
    *text = bytes;
    return 1;
}

static int to_int_buffer(PyObject *object, Py_buffer *view) {
    if (PyObject_GetBuffer(object, view, PyBUF_WRITABLE) < 0)
        return 0;
    if (view->len >= (Py_ssize_t)sizeof(int))
        return 1;
    PyBuffer_Release(view);
    PyErr_SetString(PyExc_ValueError, "buffer is smaller than int");
    return 0;
}

/* HELD and RELEASED stand around the one foreign call of each function. */
#define HELD(call) call
#define RELEASED(call) Py_BEGIN_ALLOW_THREADS call Py_END_ALLOW_THREADS

#define DEFINE(SUFFIX, AROUND)                                                                      \
    static PyObject *py_add_##SUFFIX(PyObject *self, PyObject *const *args, Py_ssize_t count) {     \
        int a, b, result;                                                                           \
        (void)self;                                                                                 \
        if (!takes("add", count, 2) || !to_int(args[0], &a) || !to_int(args[1], &b))                \
            return NULL;                                                                            \
        AROUND(result = add(a, b);)                                                                 \
        return PyLong_FromLong(result);                                                             \
    }                                                                                               \
    static PyObject *py_mul_##SUFFIX(PyObject *self, PyObject *const *args, Py_ssize_t count) {     \
        double a, b, result;                                                                        \
        (void)self;                                                                                 \
        if (!takes("mul", count, 2) || !to_double(args[0], &a) || !to_double(args[1], &b))          \
            return NULL;                                                                            \
        AROUND(result = mul(a, b);)                                                                 \
        return PyFloat_FromDouble(result);                                                          \
    }                                                                                               \
    static PyObject *py_length_##SUFFIX(PyObject *self, PyObject *const *args, Py_ssize_t count) {  \
        const char *text;                                                                           \
        size_t result;                                                                              \
        (void)self;                                                                                 \
        if (!takes("length", count, 1) || !to_text(args[0], &text))                                 \
            return NULL;                                                                            \
        AROUND(result = length(text);)                                                              \
        return PyLong_FromSize_t(result);                                                           \
    }                                                                                               \
    static PyObject *py_poke_##SUFFIX(PyObject *self, PyObject *const *args, Py_ssize_t count) {    \
        Py_buffer view;                                                                             \
        (void)self;                                                                                 \
        if (!takes("poke", count, 1) || !to_int_buffer(args[0], &view))                             \
            return NULL;                                                                            \
        AROUND(poke(view.buf);)                                                                     \
        PyBuffer_Release(&view);                                                                    \
        Py_RETURN_NONE;                                                                             \
    }

DEFINE(held, HELD)
DEFINE(released, RELEASED)

#define METHOD(name, suffix)                                                                        \
    {#name "_" #suffix, (PyCFunction)(void (*)(void))py_##name##_##suffix, METH_FASTCALL, NULL}

static PyMethodDef methods[] = {
    METHOD(add, held),      METHOD(mul, held),      METHOD(length, held),      METHOD(poke, held),
    METHOD(add, released),  METHOD(mul, released),  METHOD(length, released),  METHOD(poke, released),
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT, .m_name = "bench_ext", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit_bench_ext(void) { return PyModuleDef_Init(&module); }
