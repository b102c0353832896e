-- Deterministic seed data: 10,000 users, 2,000 products, 100,000 orders (ten per user).
-- Everything follows from row numbers and md5, so two labs hold the same rows.

BEGIN;

-- The rows are consistent by construction; checking 200,000 foreign keys one by one is not needed.
SET LOCAL session_replication_role = replica;

INSERT INTO users (id, name, email)
SELECT n,
       first[1 + n % 20] || ' ' || last[1 + n / 20 % 25],
       lower(first[1 + n % 20]) || '.' || n || '@example.org'
FROM generate_series(1, 10000) AS n,
     (SELECT string_to_array('Ada Alan Barbara Claude Dennis Edsger Frances Grace Hedy Ivan Jean Ken Leslie Margaret Niklaus Ole Peter Radia Sophie Tony', ' ') AS first,
             string_to_array('Allen Backus Bartik Cerf Clarke Dahl Floyd Goldberg Hamming Holberton Hopper Jennings Johnson Kay Knuth Lamarr Liskov Lovelace Naur Perlman Ritchie Shannon Snyder Turing Wirth', ' ') AS last) AS names;

-- 20 adjectives x 100 nouns; a noun alone finds 20 products, both together one.
INSERT INTO products (id, name, description, price_cents, stock)
SELECT n,
       initcap(adjective[1 + n % 20] || ' ' || noun[1 + n / 20 % 100]),
       (SELECT string_agg(word[1 + ('x' || substr(md5(n || ':' || k), 1, 7))::bit(28)::int % array_length(word, 1)], ' ' ORDER BY k)
        FROM generate_series(1, 60) AS k),
       100 + n * 7919 % 50000,
       1000000
FROM generate_series(1, 2000) AS n,
     (SELECT string_to_array('amber ancient brass cedar copper crimson folding golden heavy hollow ivory marble narrow oaken polished quiet rustic silver velvet wooden', ' ') AS adjective,
             string_to_array('anchor apron armchair axe backpack banjo barrel basket bell bench bicycle blanket boiler bookcase bottle bowl bracelet broom bucket button cabinet camera candle canoe canvas carpet cello chair chisel clock compass cradle cupboard curtain desk dresser drum easel fiddle flask flute fork funnel goblet guitar hammer hammock harp hat hinge hourglass jacket jug kayak kettle kite knife ladder lamp lantern lens locket loom magnet mallet mandolin mattress mirror mug needle notebook oar oboe organ paddle pan pencil piano pillow plate pliers quilt rake ribbon rope saddle scarf scissors shovel sickle sled spoon stool teapot telescope tent towel trowel trumpet umbrella', ' ') AS noun,
             string_to_array('about affordable afternoon along always around balanced beautiful before behind bright built careful carefully chosen classic clean clever collected comes comfortable compact cut daily delivered dependable designed detailed durable easily elegant enduring evening every everyday exact expected family favourite feels finely finished fitted flexible for found friendly from gentle gift given good grain guaranteed handmade handy home honest inside joined keeps known lasting lasts light little local long loved made matching material maker modern morning natural never old ordinary outdoors packed patient plain practical precise pride quality rarely ready reliable repaired season sensible shaped shipped simple small smooth solid steady strong sturdy suits sustainable tested thoughtful through timeless together traditional travel trusted useful warm water well winter with without workshop worn year', ' ') AS word) AS words;

INSERT INTO orders (id, user_id, product_id, quantity, total_cents, status, created_at)
SELECT n, 1 + n % 10000, p.id, 1 + n % 5, (1 + n % 5) * p.price_cents,
       (ARRAY['new', 'paid', 'shipped', 'delivered'])[1 + n % 4],
       timestamptz '2026-01-01 00:00:00+00' + n * interval '1 minute'
FROM generate_series(1, 100000) AS n
JOIN products AS p ON p.id = 1 + (n::bigint * 7919 + n / 10000) % 2000;

SELECT setval(pg_get_serial_sequence('orders', 'id'), 100000);

COMMIT;

-- Plans and buffer hits are the same from the first request on.
VACUUM ANALYZE;

-- What pg_stat_statements shows is the load, not this.
SELECT pg_stat_statements_reset();
