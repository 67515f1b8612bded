/* Evaluates the JavaScript of its argument and prints what it gives. */
#include <quickjs.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    JSRuntime *runtime = JS_NewRuntime();
    JSContext *context = JS_NewContext(runtime);
    if (argc != 2)
        return 2;
    JSValue value = JS_Eval(context, argv[1], strlen(argv[1]), "argument", JS_EVAL_TYPE_GLOBAL);
    int failed = JS_IsException(value);
    const char *text = JS_ToCString(context, failed ? JS_GetException(context) : value);
    puts(text);
    JS_FreeCString(context, text);
    return failed;
}
