import { chmod, mkdir, mkdtemp, rm, symlink, unlink } from "node:fs/promises";
import { connect, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";

/** Bytes that an address of a Unix socket may have: 108 with its zero on Linux, 104 on macOS (sys/un.h). */
const SOCKET_PATH_BYTES_MAX = process.platform === "linux" ? 107 : 103;

/** Where the service of a root listens for its workers, and what tells a second service that it is the second. */
export function serviceSocketPath(root: string): string {
  return join(resolve(root), "service.sock");
}

/** Another service runs on the same root. */
export class ServiceRunning extends Error {
  override readonly name = "ServiceRunning";
}

/**
 * Listens on a socket path that only one process may have. Throws `ServiceRunning` when somebody answers there; a file
 * that nobody answers behind is left over by a killed service and is replaced. Only this user may connect.
 */
export async function listenAlone(server: Server, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  if (await answers(path)) {
    const root = dirname(path);
    throw new ServiceRunning(`another service runs on this root: ${root}; stop it or choose another root with --root`);
  }
  await rm(path, { force: true });
  await withShortPath(path, async (short) => {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(short, () => {
        server.off("error", reject);
        resolve();
      });
    });
    await chmod(short, 0o600);
  });
}

/** Whether a process accepts connections there. */
export async function answers(path: string): Promise<boolean> {
  try {
    const socket = await connectTo(path);
    socket.destroy();
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ECONNREFUSED" || code === "ENOTSOCK") return false;
    throw error;
  }
}

/** Connects to a Unix socket, whatever the length of its path; throws as `net.connect` reports. */
export function connectTo(path: string): Promise<Socket> {
  return withShortPath(
    path,
    (short) =>
      new Promise<Socket>((resolve, reject) => {
        const socket = connect(short);
        socket.once("error", reject);
        socket.once("connect", () => {
          socket.off("error", reject);
          resolve(socket);
        });
      }),
  );
}

/**
 * Calls `use` with an address of the socket that the system takes: the path itself, or, when that is too long, a way
 * through a short link that exists as long as the call. The socket file lies at `path` either way.
 */
async function withShortPath<T>(path: string, use: (short: string) => Promise<T>): Promise<T> {
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return use(path);
  const folder = await mkdtemp(join(tmpdir(), "mr-"));
  const link = join(folder, "d");
  const short = join(link, basename(path));
  try {
    if (Buffer.byteLength(short) > SOCKET_PATH_BYTES_MAX) {
      const most = `at most ${String(SOCKET_PATH_BYTES_MAX)} bytes`;
      throw new Error(
        `the socket ${path} has too long a path (${most}), and so has ${short}: set TMPDIR to a shorter one`,
      );
    }
    await symlink(dirname(path), link);
    return await use(short);
  } finally {
    await unlink(link).catch(() => undefined); // never made: the folder goes next anyway
    await rm(folder, { recursive: true, force: true });
  }
}
