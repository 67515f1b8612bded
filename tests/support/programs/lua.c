/* Runs the Lua script that it is given. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

int main(int argc, char **argv) {
    lua_State *state = luaL_newstate();
    luaL_openlibs(state);
    if (argc != 2 || luaL_dofile(state, argv[1])) {
        fprintf(stderr, "%s\n", argc == 2 ? lua_tostring(state, -1) : "usage: lua SCRIPT");
        return 1;
    }
    lua_close(state);
    return 0;
}
