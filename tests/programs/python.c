/* CPython as one static program, as Debian's libpython3.11-dev documents it. */
#include <Python.h>

int main(int argc, char **argv) {
    return Py_BytesMain(argc, argv);
}
