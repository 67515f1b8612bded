/* Zeros with more data behind them, and addresses that nothing has: between.ld lays it out. */
int data[600] = {[0] = 1, [599] = 2};
int zeros[9000];
__attribute__((section(".more"))) int more[100] = {3};
__attribute__((section(".far"))) int far[10] = {4};

int sum(void) {
    int found = 0;
    for (int i = 0; i < 9000; i++)
        found += zeros[i];
    return found + data[0] + data[599] + more[0] + far[0];
}

void change(void) {
    zeros[0] = zeros[8999] = 10, data[599] = 20, more[99] = 30, far[9] = 40;
    more[0] += more[99], far[0] += far[9];
}
