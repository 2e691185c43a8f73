import { buildApp } from "fauxqs";

const server = buildApp({ logger: false });
process.once("disconnect", () => void server.close()); // the bench is gone
process.send?.(await server.listen({ host: "127.0.0.1", port: 0 }));
