// Long work of the server: started, polled, cancelled.

const POLL_MS = 300;
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Returns a promise of the last answer about a job, once the job is done.
 *
 * Args:
 *   ask: function of requests.js.
 *   job: the job's name.
 *   onprogress: receives {done, total}. Where it returns false, the job is cancelled
 *     and the promise becomes null.
 *   sleep: function that waits for a number of milliseconds.
 */
export async function follow(ask, job, onprogress, sleep = wait) {
  for (;;) {
    const { content } = await ask("job", { job });
    if (content.state === "failed") throw new Error(content.error_text ?? content.message ?? "The work failed.");
    if (content.state === "cancelled") return null;
    if (onprogress(content) === false) {
      await ask("cancel", { job });
      return null;
    }
    if (content.state === "done") return content;
    await sleep(POLL_MS);
  }
}
