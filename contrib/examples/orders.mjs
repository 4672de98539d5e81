#!/usr/bin/node
// The same as orders.py in Node, with the package pg (npm install pg): rows and the job's completion in one transaction.
//
//     [queue orders]
//     handler = exec
//     command = /usr/bin/node /srv/shop/orders.mjs
//     env = PGHOST=/var/run/postgresql
//     env = PGDATABASE=shop
//     env = PGPASSFILE=/etc/shop/pgpass
import { createInterface } from 'node:readline';
import pg from 'pg';

const pool = new pg.Pool({ max: 5 }); // so many orders at a time; all from the variables above
pool.on('error', (error) => console.error(error.message)); // an idle connection was lost: there will be another

async function write(client, { payload: { sku, count } }) {
  const { rows } = await client.query('INSERT INTO orders (sku, count) VALUES ($1, $2) RETURNING id', [sku, count]);
  return { order: rows[0].id };
}

async function handle(job) {
  const client = await pool.connect();
  let broken;
  try {
    await client.query('BEGIN');
    const result = await write(client, job);
    const { rows } = await client.query('SELECT jobq.complete($1, $2, $3) AS mine', [job.id, job.claim_token, JSON.stringify(result)]);
    if (!rows[0].mine) throw new Error('the job is not ours any more');
    await client.query('COMMIT');
    return { outcome: 'committed' };
  } catch (error) {
    broken = await client.query('ROLLBACK').then(() => undefined, (lost) => lost);
    return { outcome: error.code?.startsWith('22') || error.code?.startsWith('23') ? 'fail' : 'retry', error: error.message };
  } finally {
    client.release(broken);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  if (job.cancel) continue; // a transaction of a few milliseconds is not worth stopping
  handle(job).then(
    (answer) => console.log(JSON.stringify({ id: job.id, ...answer })),
    (error) => console.log(JSON.stringify({ id: job.id, outcome: 'retry', error: error.message })),
  );
}
await pool.end();
