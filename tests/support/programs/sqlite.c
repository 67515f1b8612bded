/* Runs the SQL of its second argument on the database file of its first. */
#include <sqlite3.h>
#include <stdio.h>

static int print_row(void *unused, int count, char **values, char **names) {
    (void)unused, (void)names;
    for (int i = 0; i < count; i++)
        printf("%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
    putchar('\n');
    return 0;
}

int main(int argc, char **argv) {
    sqlite3 *database;
    char *message = NULL;
    if (argc != 3 || sqlite3_open(argv[1], &database) != SQLITE_OK)
        return 2;
    if (sqlite3_exec(database, argv[2], print_row, NULL, &message) != SQLITE_OK) {
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    return sqlite3_close(database);
}
