"""Fill the tables as years of use would: most orders name their customer, some do not."""

import os

import psycopg

CUSTOMERS = (
    "INSERT INTO customers (id, name) SELECT md5('c' || n)::uuid, 'Customer ' || n FROM generate_series(0, 99) AS n"
)
ORDERS = """
INSERT INTO orders (customer_id, item)
SELECT CASE
    WHEN n % 1000 = 1 THEN 'n/a'                          -- no identifier at all
    WHEN n % 1000 = 2 THEN ''
    WHEN n % 1000 = 3 THEN md5('gone' || n)::uuid::text   -- of a customer who is not there
    WHEN n % 100 = 4 THEN upper(md5('c4')::uuid::text)    -- the right customer, written differently
    WHEN n % 100 = 5 THEN ' {' || md5('c5') || '} '
    ELSE md5('c' || n % 100)::uuid::text
  END, 'Item ' || n
FROM generate_series(1, 20000) AS n
"""

with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute(CUSTOMERS)
    connection.execute(ORDERS)
print("100 customers and 20,000 orders")
