# A static binary and nothing else.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /kanban ./cmd/kanban \
 && mkdir /data && chown 65532:65532 /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /kanban /kanban
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV HOST=0.0.0.0 PORT=18000 DATA_DIR=/data
VOLUME /data
EXPOSE 18000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/kanban", "health"]
ENTRYPOINT ["/kanban"]
CMD ["serve"]
