/* A guest that connects by itself gets no socket; what it asks for is told to the log. */
static long open_asked(const struct broker_request *request) {
    (void)request;
    return -HOST_EACCES;
}
