/** Run by a test: starts a handler that hangs, says its pid, and waits to be killed. */
import { aProject } from "./python-project.ts";

const source = `
import time
class Handler:
    def __init__(self, config): pass
    def handle_batch(self, payload): time.sleep(600)
`;
const project = await aProject(source);
await project.start();
process.stdout.write(`pid ${String(project.handler.pid)} folder ${project.folder}\n`);
void project.run("a", [1]);
setInterval(() => {
  if (project.begun.length > 0) process.stdout.write("hanging\n");
}, 20);
