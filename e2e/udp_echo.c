// Sends every datagram back to where it came from. Busybox has nothing that answers by UDP.
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
    struct sockaddr_in self = {.sin_family = AF_INET}, peer;
    char data[2048];
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    self.sin_port = htons(argc > 1 ? atoi(argv[1]) : 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof self) != 0) return 1;
    for (;;) {
        socklen_t length = sizeof peer;
        ssize_t got = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&peer, &length);
        if (got >= 0) sendto(fd, data, (size_t)got, 0, (struct sockaddr *)&peer, length);
    }
}
