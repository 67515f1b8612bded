/* An object with constants that its loader relocates. */
const char *const names[1024] = {[511] = "relocated"};
