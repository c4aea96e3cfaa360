"""The wire to model containers: columns, and one stream of batches per replica."""
