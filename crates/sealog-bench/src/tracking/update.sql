UPDATE $table SET visits = visits + 1 WHERE id BETWEEN $from AND $to
