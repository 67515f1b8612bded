/* CPython as one static program, as Debian's libpython3.11-dev documents it, and the one
 * module of the standard library's that its archive lacks for `decimal`: _contextvars, which
 * only names types that the archive has. */
#include <Python.h>

static PyObject *copy_context(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    return PyContext_CopyCurrent();
}

static PyMethodDef methods[] = {{"copy_context", copy_context, METH_NOARGS, NULL}, {0}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_contextvars", NULL, 0, methods};

static PyObject *contextvars(void) {
    PyObject *module = PyModule_Create(&definition);
    PyModule_AddType(module, &PyContext_Type);
    PyModule_AddType(module, &PyContextVar_Type);
    PyModule_AddType(module, &PyContextToken_Type);
    return module;
}

int main(int argc, char **argv) {
    PyImport_AppendInittab("_contextvars", contextvars);
    return Py_BytesMain(argc, argv);
}
