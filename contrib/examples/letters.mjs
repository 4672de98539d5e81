#!/usr/bin/node
// A handler for exec queues in Node: all jobs of a batch at once, with progress, stopping when asked.
//
//     [queue letters]
//     handler = exec
//     command = /usr/bin/node /usr/share/doc/jobq/examples/letters.mjs
//
//     SELECT jobq.enqueue('letters', '{"template": "Dear {name}!", "people": [{"name": "Ann"}, {"name": "Bo"}]}');
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

const cancelled = new Set();
const say = (id, answer) => console.log(JSON.stringify({ id, ...answer }));

async function work({ id, payload: { template, people, pause_ms = 0 } }) {
  const letters = [];
  for (const [n, person] of people.entries()) {
    if (cancelled.has(id)) return { outcome: 'retry', error: 'stopped as asked' }; // a cancelled job is not tried again
    letters.push(template.replace(/{(\w+)}/g, (_, name) => person[name]));
    say(id, { progress: (100 * (n + 1)) / people.length, note: `${n + 1} of ${people.length}` });
    await pause(pause_ms); // somebody else's turn; a real handler waits for a disk or a network here
  }
  return { outcome: 'done', result: letters };
}

async function handle(job) {
  const answer = await work(job).catch((error) => ({ outcome: 'fail', error: error.message }));
  cancelled.delete(job.id);
  say(job.id, answer);
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  if (job.cancel) cancelled.add(job.cancel);
  else handle(job); // not awaited: the next line may come
}
