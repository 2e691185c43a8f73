import { buildApp } from "fauxqs";

process.send?.(await buildApp({ logger: false }).listen({ host: "127.0.0.1", port: 0 }));
